import { createHash } from "node:crypto";
import { makeId, parseId } from "../../../model/volume-id.js";

/**
 * Names in RBD. A thing's name is a digest, so that any Unicode fits and the image's creation is its claim, atomic between
 * controllers:
 *
 *   granary-v-<hash of the name>      a volume
 *   granary-x-<image id>              a volume that was deleted and has snapshots still
 *   granary-s-<hash>, granary-g-<hash>  of size 0: a snapshot's and a group's name and record
 *   granary-registry                  of size 0, in the first pool: nodes, and namespaces in use beside the config's
 *
 * On a volume's image, `granary-<id of the claim's image>` is a snapshot, and `granary-t-...` one that is there for the time
 * of a call.
 */
export type Claim = "v" | "s" | "g";

export const hashOf = (name: string): string => createHash("sha256").update(name).digest("hex").slice(0, 24);
export const namespaceHash = (namespace: string): string =>
  createHash("sha256").update(namespace).digest("hex").slice(0, 8);

export const claimImage = (claim: Claim, hash: string): string => `granary-${claim}-${hash}`;
export const hiddenImage = (imageId: string): string => `granary-x-${imageId}`;
export const REGISTRY_IMAGE = "granary-registry";

export const snapshotName = (claimImageId: string): string => `granary-${claimImageId}`;
export const transientSnapshot = (of: string): string => `granary-t-${of}`;
export const isTransient = (snapshot: string): boolean => snapshot.startsWith("granary-t-");

/** The hash of `granary-v-<hash>`. */
export function hashOfImage(image: string, claim: Claim): string | undefined {
  return new RegExp(`^granary-${claim}-([0-9a-f]{24})$`).exec(image)?.[1];
}

/** What an id of ours says: where the thing is, and which. */
export interface Ref {
  id: string;
  /** CLUSTER.POOL-ID or CLUSTER.POOL-ID.NAMESPACE-HASH */
  place: string;
  hash: string;
  imageId: string;
}

export function parseRef(id: string, claim: Claim): Ref | undefined {
  const found = parseId(id);
  if (found?.engine !== "r" || found.kind !== claim) return undefined;
  const [place = "", hash = "", imageId = ""] = found.parts;
  return { id, place, hash, imageId };
}

export function makeRef(claim: Claim, place: string, hash: string, imageId: string): Ref {
  return { id: makeId("r", claim, place, hash, imageId), place, hash, imageId };
}
