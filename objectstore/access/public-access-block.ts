import { StorageError } from "../../src/errors/storage-error.js";
import { expectChildren, malformedXml, parseDocument, textOf } from "../xml/read.js";
import { leaf, xmlDocument } from "../xml/write.js";

/** S3 user guide, "Blocking public access". */
export interface PublicAccessBlock {
  /** No ACL that is public can be set any more. */
  readonly blockPublicAcls: boolean;
  /** Public grants of the bucket and of its objects count for nothing. */
  readonly ignorePublicAcls: boolean;
  /** No policy that is public can be set any more. */
  readonly blockPublicPolicy: boolean;
  /** While the bucket's policy is public, it gives nothing but to the bucket's owner. */
  readonly restrictPublicBuckets: boolean;
}

export const NO_BLOCK: PublicAccessBlock = Object.freeze({
  blockPublicAcls: false,
  ignorePublicAcls: false,
  blockPublicPolicy: false,
  restrictPublicBuckets: false,
});

const ELEMENTS = {
  BlockPublicAcls: "blockPublicAcls",
  IgnorePublicAcls: "ignorePublicAcls",
  BlockPublicPolicy: "blockPublicPolicy",
  RestrictPublicBuckets: "restrictPublicBuckets",
} as const satisfies Record<string, keyof PublicAccessBlock>;

/** @throws StorageError internal when what is stored is damaged: a block is never taken for none */
export function readPublicAccessBlock(stored: string | undefined): PublicAccessBlock {
  if (stored === undefined) return NO_BLOCK;
  const block = JSON.parse(stored) as PublicAccessBlock;
  for (const name of Object.values(ELEMENTS)) {
    if (typeof block[name] !== "boolean") throw new StorageError("internal", "a stored public access block is damaged");
  }
  return block;
}

function flag(text: string | undefined, name: string): boolean {
  switch (text?.trim().toLowerCase()) {
    case undefined:
    case "false":
      return false;
    case "true":
      return true;
    default:
      throw malformedXml(`${name} is true or false`);
  }
}

/**
 * A `PublicAccessBlockConfiguration` document; what it leaves out is off.
 *
 * @throws S3Error MalformedXML
 */
export function publicAccessBlockFromXml(text: string): PublicAccessBlock {
  const root = parseDocument(text, "PublicAccessBlockConfiguration");
  expectChildren(root, Object.keys(ELEMENTS));
  const of = (name: string) => flag(textOf(root, name), name);
  return {
    blockPublicAcls: of("BlockPublicAcls"),
    ignorePublicAcls: of("IgnorePublicAcls"),
    blockPublicPolicy: of("BlockPublicPolicy"),
    restrictPublicBuckets: of("RestrictPublicBuckets"),
  };
}

export function publicAccessBlockXml(block: PublicAccessBlock): string {
  const flags = Object.entries(ELEMENTS).map(([name, key]) => leaf(name, block[key]));
  return xmlDocument("PublicAccessBlockConfiguration", ...flags);
}
