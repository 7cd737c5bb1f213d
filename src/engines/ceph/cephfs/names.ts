import { createHash, randomBytes } from "node:crypto";
import { makeId, parseId } from "../../../model/volume-id.js";

/** 96 bits of a name's digest: names may be any Unicode, Ceph's may not. */
export const hashOf = (name: string): string => createHash("sha256").update(name).digest("hex").slice(0, 24);

/** Of one volume or snapshot alone, so that an id never means a later one of the same name. */
export const newToken = (): string => randomBytes(6).toString("hex");

/** `main.1`: the cluster's name in the config, and the file system's number. */
export type Place = string;

export const volumeId = (place: Place, hash: string, token: string) => makeId("f", "v", place, hash, token);
export const snapshotId = (place: Place, hash: string, token: string) => makeId("f", "s", place, hash, token);

/** The digest and the token of an id that was made here, or undefined. */
export function keyOf(id: string, kind: "v" | "s", place: Place): { hash: string; token: string } | undefined {
  const parsed = parseId(id);
  const [where, hash, token] = parsed?.parts ?? [];
  if (parsed?.engine !== "f" || parsed.kind !== kind || where !== place) return undefined;
  return hash === undefined || token === undefined ? undefined : { hash, token };
}

export const subvolumeName = (hash: string, token: string) => `granary-v-${hash}-${token}`;
export const snapshotName = (hash: string, token: string) => `granary-s-${hash}-${token}`;
/** The snapshot that a volume is copied from; it lives as long as the copying. */
export const copySnapshotName = (token: string) => `granary-c-${token}`;

/**
 * The Ceph user of one volume on one node, without `client.`: what is taken from it is taken from that node alone.
 */
export const authId = (token: string, nodeId: string) => `granary-${token}-${hashOf(nodeId).slice(0, 12)}`;

/** Where records and locks lie in the metadata pool. */
export const recordNamespace = (group: string) => `granary.${group}`;
/** Where the keys that one node is to read lie: its user needs no other. */
export const keyNamespace = (group: string, nodeId: string) => `granary.${group}.node.${hashOf(nodeId)}`;
export const keyObject = (hash: string, token: string) => `key-${hash}-${token}`;
