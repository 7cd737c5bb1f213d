import { S3Error } from "../src/errors/s3-error.js";
import type { Pairs } from "../src/model/object.js";
import { tagsOfSet } from "./tags.js";
import { childOf, expectChildren, parseDocument, textOf } from "./xml/read.js";

/** Amazon's home region: the one that is never written out (API reference, CreateBucket). */
const HOME_REGION = "us-east-1";
/** What a region's name looks like at Amazon. */
const REGION = /^[a-z]{2}(?:-[a-z]{1,20}){1,3}-\d{1,2}$/;

/** As S3 shows a bucket's region: the home region is nothing. */
export function locationConstraint(region: string): string {
  return region === HOME_REGION ? "" : region;
}

/**
 * A bucket can only be where this server is. None said is fine in every region: where there is one place, it cannot be
 * another that is meant.
 */
function checkLocation(constraint: string, region: string): void {
  if (constraint === "" || (constraint === region && region !== HOME_REGION)) return;
  if (constraint === "EU" && region === "eu-west-1") return;
  const known = constraint === "EU" || (REGION.test(constraint) && constraint !== HOME_REGION);
  if (known || (constraint === HOME_REGION && region !== HOME_REGION)) {
    throw new S3Error(
      "IllegalLocationConstraintException",
      `The ${constraint} location constraint is incompatible for the region specific endpoint this request was sent to.`,
    );
  }
  throw new S3Error("InvalidLocationConstraint", "The specified location-constraint is not valid", {
    fields: { LocationConstraint: constraint },
  });
}

/**
 * A `CreateBucketConfiguration` document, or nothing.
 *
 * @throws S3Error MalformedXML, IllegalLocationConstraintException, InvalidLocationConstraint, NotImplemented for directory
 *   buckets, and what tags throw
 */
export function newBucketFromXml(text: string, region: string): { tags: Pairs } {
  if (text.trim() === "") return { tags: [] };
  const root = parseDocument(text, "CreateBucketConfiguration");
  expectChildren(root, ["LocationConstraint", "Location", "Bucket", "Tags"]);
  for (const name of ["Location", "Bucket"]) {
    if (childOf(root, name)) throw new S3Error("NotImplemented", `Directory buckets (${name}) are not implemented`);
  }
  checkLocation(textOf(root, "LocationConstraint") ?? "", region);
  const tags = childOf(root, "Tags");
  return { tags: tags ? tagsOfSet(tags, "bucket") : [] };
}
