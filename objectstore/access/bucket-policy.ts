import { S3Error } from "../../src/errors/s3-error.js";
import { StorageError } from "../../src/errors/storage-error.js";
import type { Bucket } from "../../src/model/bucket.js";
import { type Policy, policyOf } from "./evaluate.js";
import type { Directory } from "./grantees.js";
import { parsePolicy } from "./policy-document.js";
import { noted, noting, principalsIn } from "./policy-principal.js";
import { isPublicPolicy } from "./policy-status.js";

/** A bucket's policy, compiled. */
export interface BucketPolicy extends Policy {
  /** S3's meaning of public. */
  readonly isPublic: boolean;
}

/**
 * The form in `config.policy`: the text as it was sent, and whom its principals meant then. Were names looked up at each
 * request, who gets the name of a deleted user would get its rights.
 */
interface StoredPolicy {
  readonly text: string;
  readonly principals: readonly (readonly [principal: string, id: string])[];
}

function compiled(statements: ReturnType<typeof parsePolicy>): BucketPolicy {
  const policy = policyOf(statements);
  return { ...policy, isPublic: isPublicPolicy(policy) };
}

/**
 * Checks a policy for a bucket, and gives it in both forms.
 *
 * @throws S3Error MalformedPolicy
 */
export function newBucketPolicy(
  text: string,
  bucket: string,
  directory: Directory,
): { policy: BucketPolicy; stored: string } {
  const found = new Map<string, string>();
  const resolver = noting(principalsIn(directory), found);
  const policy = compiled(parsePolicy(text, { kind: "bucket", bucket, resolver }));
  const stored: StoredPolicy = { text, principals: [...found] };
  return { policy, stored: JSON.stringify(stored) };
}

function readStored(stored: string): StoredPolicy {
  const { text, principals } = JSON.parse(stored) as Partial<StoredPolicy>;
  if (typeof text !== "string" || !Array.isArray(principals)) {
    throw new StorageError("internal", "a stored bucket policy is damaged");
  }
  return { text, principals };
}

/** The policy as it was sent. @throws S3Error NoSuchBucketPolicy */
export function policyText(bucket: Bucket): string {
  const stored = bucket.config.policy;
  if (stored === undefined) {
    throw new S3Error("NoSuchBucketPolicy", undefined, { fields: { BucketName: bucket.name } });
  }
  return readStored(stored).text;
}

/** Compiles what is stored. @throws S3Error, StorageError or SyntaxError when it is damaged */
export function compileStoredPolicy(stored: string, bucket: string): BucketPolicy {
  const { text, principals } = readStored(stored);
  return compiled(parsePolicy(text, { kind: "bucket", bucket, resolver: noted(new Map(principals)) }));
}
