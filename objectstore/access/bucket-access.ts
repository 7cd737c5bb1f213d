import { StorageError } from "../../src/errors/storage-error.js";
import type { Bucket } from "../../src/model/bucket.js";
import type { GatewaySettings } from "../types.js";
import { type Acl, readAcl } from "./acl.js";
import { type BucketPolicy, compileStoredPolicy } from "./bucket-policy.js";
import { isOwnership, type Ownership } from "./ownership.js";
import { type PublicAccessBlock, readPublicAccessBlock } from "./public-access-block.js";

/** What a bucket's documents say of access, read once for each Bucket value. */
export interface BucketAccess {
  /** Undefined where the bucket sets none: the gateway's default counts. */
  readonly ownership: Ownership | undefined;
  readonly block: PublicAccessBlock;
  readonly acl: Acl;
  /** "damaged": it cannot be read, so it denies all but what mends it. */
  readonly policy: BucketPolicy | "damaged" | undefined;
}

function readPolicy(bucket: Bucket): BucketAccess["policy"] {
  const stored = bucket.config.policy;
  if (stored === undefined) return undefined;
  try {
    return compileStoredPolicy(stored, bucket.name);
  } catch {
    return "damaged";
  }
}

function readOwnership(stored: string | undefined): Ownership | undefined {
  if (stored === undefined) return undefined;
  const { objectOwnership } = JSON.parse(stored) as { objectOwnership?: unknown };
  if (isOwnership(objectOwnership)) return objectOwnership;
  throw new StorageError("internal", "stored ownership controls are damaged");
}

const known = new WeakMap<Bucket, BucketAccess>();

/** @throws StorageError internal when a stored document is damaged: never taken for none */
export function bucketAccess(bucket: Bucket): BucketAccess {
  const found = known.get(bucket);
  if (found) return found;
  const access: BucketAccess = {
    ownership: readOwnership(bucket.config.ownership),
    block: readPublicAccessBlock(bucket.config.publicAccessBlock),
    acl: readAcl(bucket.config.acl, bucket.ownerId),
    policy: readPolicy(bucket),
  };
  known.set(bucket, access);
  return access;
}

export function ownershipOf(bucket: Bucket, settings: Pick<GatewaySettings, "defaultOwnership">): Ownership {
  return bucketAccess(bucket).ownership ?? settings.defaultOwnership;
}
