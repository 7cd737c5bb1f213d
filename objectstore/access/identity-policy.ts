import type { User } from "../../src/engines/identity-store.js";
import { S3Error } from "../../src/errors/s3-error.js";
import { invalid } from "../../src/errors/storage-error.js";
import { type Policy, policyOf } from "./evaluate.js";
import { parsePolicy } from "./policy-document.js";

/** All policies of a user as one: a deny in any of them decides. "damaged": one cannot be read, so nothing is allowed. */
export type IdentityPolicy = Policy | "damaged";

const known = new WeakMap<User, IdentityPolicy>();

function compile(user: User): IdentityPolicy {
  try {
    return policyOf(user.policies.flatMap(({ document }) => parsePolicy(document, { kind: "identity" })));
  } catch {
    return "damaged";
  }
}

/** What the policies attached to a user say, compiled once for each User value; undefined where there are none. */
export function identityPolicy(user: User): IdentityPolicy | undefined {
  if (user.policies.length === 0) return undefined;
  let policy = known.get(user);
  if (!policy) {
    policy = compile(user);
    known.set(user, policy);
  }
  return policy;
}

/**
 * Checks a policy before it is attached to a user.
 *
 * @throws StorageError invalid-argument saying what is wrong
 */
export function checkIdentityPolicy(name: string, document: string): void {
  try {
    parsePolicy(document, { kind: "identity" });
  } catch (error) {
    if (!(error instanceof S3Error)) throw error;
    const detail = error.fields.Detail;
    throw invalid(`policy ${name}: ${error.message}${detail === undefined ? "" : ` (${detail})`}`);
  }
}
