import { describe, expect, it } from "vitest";
import { bucketNameProblem } from "../../src/model/bucket-name.js";

describe("names of new buckets", () => {
  it.each(["abc", "a".repeat(63), "my.bucket-1", "123", "1a.2b.3c.4d", "192.168.5", "a--b", "xn-x", "sthreex"])(
    "%s: fine",
    (name) => {
      expect(bucketNameProblem(name)).toBeUndefined();
    },
  );

  it.each([
    "",
    "ab",
    "a".repeat(64),
    "Abc",
    "a_b",
    "a b",
    "ab/c",
    "äbc",
    "-abc",
    "abc-",
    ".abc",
    "abc.",
    "a..b",
    "192.168.5.4",
    "999.999.999.999",
    "xn--abc",
    "sthree-abc",
    "sthree-configurator",
    "amzn-s3-demo-abc",
    "abc-s3alias",
    "abc--ol-s3",
    "abc.mrap",
    "abc--x-s3",
    "abc--table-s3",
    "abc-123456789012-us-east-1-an",
    "abc\n",
    "__proto__",
  ])("%j: a problem", (name) => {
    expect(bucketNameProblem(name)).toMatch(/^a bucket's name /);
  });
});
