import { describe, expect, it } from "vitest";
import { locationConstraint, newBucketFromXml } from "../../objectstore/new-bucket.js";
import { versioningFromXml } from "../../objectstore/versioning-document.js";
import { S3Error } from "../../src/errors/s3-error.js";

function outcome(run: () => unknown): string {
  try {
    run();
    return "fine";
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
}

const at = (location: string) =>
  `<CreateBucketConfiguration><LocationConstraint>${location}</LocationConstraint></CreateBucketConfiguration>`;

describe("where a new bucket is to be", () => {
  it.each([
    ["us-east-1", "", "fine"],
    ["us-east-1", "us-east-1", "InvalidLocationConstraint"],
    ["us-east-1", "eu-central-1", "IllegalLocationConstraintException"],
    ["us-east-1", "EU", "IllegalLocationConstraintException"],
    ["us-east-1", "nowhere", "InvalidLocationConstraint"],
    ["eu-central-1", "eu-central-1", "fine"],
    ["eu-central-1", "", "fine"],
    ["eu-central-1", "us-east-1", "IllegalLocationConstraintException"],
    ["eu-west-1", "EU", "fine"],
    ["dc1", "dc1", "fine"],
    ["dc1", "dc2", "InvalidLocationConstraint"],
  ])("a server in %s, asked for %j: %s", (region, constraint, code) => {
    expect(outcome(() => newBucketFromXml(at(constraint), region))).toBe(code);
  });

  it.each([
    ["no document", ""],
    ["an empty document", "<CreateBucketConfiguration/>"],
  ])("%s: fine in any region", (_, text) => {
    expect(newBucketFromXml(text, "dc1")).toEqual({ tags: [] });
  });

  it("tags: of the new bucket", () => {
    const tag = "<Tag><Key>k</Key><Value>v</Value></Tag>";
    const text = `<CreateBucketConfiguration><Tags>${tag}</Tags></CreateBucketConfiguration>`;
    expect(newBucketFromXml(text, "us-east-1")).toEqual({ tags: [["k", "v"]] });
  });

  it.each([
    [
      "a directory bucket",
      "<CreateBucketConfiguration><Bucket><Type>Directory</Type></Bucket></CreateBucketConfiguration>",
      "NotImplemented",
    ],
    ["another root", "<Configuration/>", "MalformedXML"],
    ["an unknown element", "<CreateBucketConfiguration><Region>x</Region></CreateBucketConfiguration>", "MalformedXML"],
    ["no XML", "us-east-1", "MalformedXML"],
  ])("%s: %s", (_, text, code) => {
    expect(outcome(() => newBucketFromXml(text, "us-east-1"))).toBe(code);
  });

  it("shown: nothing for us-east-1, the region elsewhere", () => {
    expect([locationConstraint("us-east-1"), locationConstraint("dc1")]).toEqual(["", "dc1"]);
  });
});

describe("a VersioningConfiguration document", () => {
  const of = (content: string) => `<VersioningConfiguration>${content}</VersioningConfiguration>`;

  it("a status: enabled or suspended", () => {
    expect(versioningFromXml(of("<Status>Enabled</Status>"))).toBe("enabled");
    expect(versioningFromXml(of("<Status>Suspended</Status><MfaDelete>Disabled</MfaDelete>"))).toBe("suspended");
  });

  it.each([
    ["no status", of(""), "IllegalVersioningConfigurationException"],
    ["a status in small letters", of("<Status>enabled</Status>"), "MalformedXML"],
    ["MFA delete", of("<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>"), "NotImplemented"],
    ["MFA delete of words", of("<Status>Enabled</Status><MfaDelete>on</MfaDelete>"), "MalformedXML"],
    ["an unknown element", of("<Status>Enabled</Status><Foo/>"), "MalformedXML"],
    ["another root", "<Versioning/>", "MalformedXML"],
  ])("%s: refused", (_, text, code) => {
    expect(outcome(() => versioningFromXml(text))).toBe(code);
  });
});
