import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodePercent, parseCopySource } from "../../objectstore/copy-source.js";

const source = (bucket: string, key: string, versionId?: string) => ({ bucket, key, versionId });
const code = (name: string) => expect.objectContaining({ code: name });

describe("rule 27: x-amz-copy-source", () => {
  it.each([
    ["b/k", source("b", "k")],
    ["/b/k", source("b", "k")],
    ["/b/a/b/c", source("b", "a/b/c")],
    ["b//k", source("b", "/k")],
    ["b/k%20x+y", source("b", "k x+y")],
    ["b/%E6%97%A5", source("b", "日")],
    [Buffer.from("b/日", "utf8").toString("latin1"), source("b", "日")],
    ["b/k?versionId=v1", source("b", "k", "v1")],
    ["b%2Fk%3FversionId%3Dv1", source("b", "k", "v1")],
    ["b/a%3FversionId=x?versionId=v1", source("b", "a?versionId=x", "v1")],
    ["b/k%3Fx", source("b", "k?x")],
    ["b/k?x", source("b", "k?x")],
    ["b/../other/k", source("b", "../other/k")],
    ["b/%2e%2e/k", source("b", "../k")],
    ["%2Fb/k", source("b", "k")],
  ])("%s", (header, expected) => {
    expect(parseCopySource(header)).toEqual(expected);
  });

  it.each([
    "",
    "/",
    "b",
    "/b",
    "b/",
    "/b/",
    "//k",
    "b/%",
    "b/%zz",
    "b/%ff",
    "b/\xff",
    "b/k?versionId=",
    "?versionId=x",
  ])("%j: InvalidArgument", (header) => {
    expect(() => parseCopySource(header)).toThrow(code("InvalidArgument"));
  });

  it("an access point's ARN: 501", () => {
    expect(() => parseCopySource("arn:aws:s3:us-east-1:1:accesspoint/p/object/k")).toThrow(code("NotImplemented"));
    expect(() => parseCopySource("arn%3Aaws:s3:::b/k")).toThrow(code("NotImplemented"));
  });

  it("a key of more than 1,024 bytes: KeyTooLongError", () => {
    expect(() => parseCopySource(`b/${"é".repeat(513)}`.replaceAll("é", "%C3%A9"))).toThrow(code("KeyTooLongError"));
  });

  it("path traversal: `..` in a copy source is part of the key, and the bucket is what stands before the first slash", () => {
    expect(parseCopySource("/public/../secret/k").bucket).toBe("public");
    expect(parseCopySource("/public%2F..%2Fsecret/k")).toEqual(source("public", "../secret/k"));
  });

  it("any key and version, encoded as SDKs do: read back", () => {
    const key = fc.string({ unit: "grapheme", minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(key, fc.option(fc.stringMatching(/^[A-Za-z0-9._-]{1,40}$/)), (key, version) => {
        const encoded = key.split("/").map(encodeURIComponent).join("/");
        const header = `/bucket/${encoded}${version === null ? "?versionId=null" : `?versionId=${version}`}`;
        expect(parseCopySource(header)).toEqual(source("bucket", key, version ?? "null"));
      }),
    );
  });

  it("any bytes: a source, or an S3 error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        try {
          const { bucket, key } = parseCopySource(Buffer.from(bytes).toString("latin1"));
          expect(bucket).not.toContain("/");
          expect(bucket).not.toBe("");
          expect(key).not.toBe("");
        } catch (error) {
          expect(error).toHaveProperty("status");
        }
      }),
    );
  });
});

describe("percent decoding", () => {
  it("decodes once: what it gives is not decoded again", () => {
    expect(decodePercent("%2525")).toBe("%25");
  });
});
