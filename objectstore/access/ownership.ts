import { S3Error } from "../../src/errors/s3-error.js";
import type { GatewaySettings } from "../types.js";
import { childrenOf, expectChildren, malformedXml, parseDocument, textOf } from "../xml/read.js";
import { element, leaf, xmlDocument } from "../xml/write.js";

export const OWNERSHIPS = [
  "BucketOwnerEnforced",
  "BucketOwnerPreferred",
  "ObjectWriter",
] as const satisfies readonly GatewaySettings["defaultOwnership"][];
export type Ownership = (typeof OWNERSHIPS)[number];

export function isOwnership(text: unknown): text is Ownership {
  return OWNERSHIPS.some((name) => name === text);
}

/** The form for `config.ownership`. */
export function storedOwnership(ownership: Ownership): string {
  return JSON.stringify({ objectOwnership: ownership });
}

/**
 * An `OwnershipControls` document: one rule.
 *
 * @throws S3Error MalformedXML
 */
export function ownershipFromXml(text: string): Ownership {
  const root = parseDocument(text, "OwnershipControls");
  expectChildren(root, [], ["Rule"]);
  const [rule, ...more] = childrenOf(root, "Rule");
  if (!rule || more.length > 0) throw malformedXml("OwnershipControls has one Rule");
  expectChildren(rule, ["ObjectOwnership"]);
  const ownership = textOf(rule, "ObjectOwnership");
  if (!isOwnership(ownership)) throw malformedXml(`ObjectOwnership is one of ${OWNERSHIPS.join(", ")}`);
  return ownership;
}

export function ownershipXml(ownership: Ownership): string {
  return xmlDocument("OwnershipControls", element("Rule", leaf("ObjectOwnership", ownership)));
}

/**
 * What CreateBucket's `x-amz-object-ownership` asks for; undefined without it.
 *
 * @throws S3Error InvalidArgument
 */
export function ownershipFromHeaders(headers: ReadonlyMap<string, string>): Ownership | undefined {
  const text = headers.get("x-amz-object-ownership");
  if (text === undefined || isOwnership(text)) return text;
  throw new S3Error("InvalidArgument", `Invalid x-amz-object-ownership header: ${text}`, {
    fields: { ArgumentName: "x-amz-object-ownership", ArgumentValue: text },
  });
}
