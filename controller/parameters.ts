import type { VolumeEngine } from "../src/engines/types.js";
import { invalid } from "../src/errors/storage-error.js";
import { parseInterval } from "../src/model/interval.js";
import { nearest } from "../src/model/nearest.js";
import { FS_TYPES, type FsType, type Provisioning, type VolumeKind } from "../src/model/volume.js";

/** What a StorageClass says, checked. `kind` and `fsType` are null when it leaves them open. */
export interface ClassParameters {
  kind: VolumeKind | null;
  fsType: FsType | null;
  mkfsOptions: string[];
  provisioning: Provisioning;
  reclaimSpaceMs: number;
}

const FSTYPE_KEY = "csi.storage.k8s.io/fstype";
const COMMON = ["kind", FSTYPE_KEY, "mkfsOptions"];
const SECRETS = ["provisioner", "controller-publish", "node-stage", "node-publish", "controller-expand", "node-expand"];
// What external-provisioner adds of its own (--extra-create-metadata), and the secrets' names that a class may hold.
const STANDARD = [
  ...["pvc/name", "pvc/namespace", "pv/name"],
  ...SECRETS.flatMap((use) => [`${use}-secret-name`, `${use}-secret-namespace`]),
].map((key) => `csi.storage.k8s.io/${key}`);

type Keys = Pick<VolumeEngine, "parameterKeys" | "mutableKeys">;

/** What the class says of the kind, alone: it is what chooses the engine. */
export const parseKind = (parameters: Record<string, string>): VolumeKind | null =>
  oneOf("kind", parameters.kind, ["block", "shared"]);

/**
 * @param keys what the engine takes beside the keys of every engine
 * @throws StorageError invalid-argument naming the key, and for an unknown key the nearest known one
 */
export function parseParameters(
  parameters: Record<string, string>,
  mutable: Record<string, string>,
  keys: Keys,
): ClassParameters {
  const known = [...COMMON, ...keys.parameterKeys];
  for (const key of Object.keys(parameters)) {
    if (known.includes(key) || STANDARD.includes(key)) continue;
    throw invalid(
      `parameters: unknown key ${JSON.stringify(key)}; did you mean ${JSON.stringify(nearestKey(key, known))}?`,
    );
  }
  checkMutable(mutable, keys);
  // Each is read: what a mutable one hides may come back when that is taken away.
  const reclaimSpaceMs = parseInterval("reclaimSpace", parameters.reclaimSpace ?? "");
  return {
    kind: parseKind(parameters),
    fsType: oneOf(FSTYPE_KEY, parameters[FSTYPE_KEY], FS_TYPES),
    mkfsOptions: (parameters.mkfsOptions ?? "").split(/\s+/).filter((option) => option !== ""),
    provisioning: oneOf("provisioning", parameters.provisioning, ["thin", "thick"]) ?? "thin",
    reclaimSpaceMs:
      mutable.reclaimSpace === undefined ? reclaimSpaceMs : parseInterval("reclaimSpace", mutable.reclaimSpace),
  };
}

// A key without a prefix is held against the known ones without theirs: a plain fsType means Kubernetes' own key.
function nearestKey(key: string, known: readonly string[]): string {
  if (key.includes("/")) return nearest(key, [...known, ...STANDARD]);
  const bare = known.map((one) => one.slice(one.lastIndexOf("/") + 1));
  return known[bare.indexOf(nearest(key, bare))] ?? "";
}

/** @throws StorageError invalid-argument; nothing is applied when one key is wrong */
export function checkMutable(mutable: Record<string, string>, { mutableKeys }: Pick<Keys, "mutableKeys">): void {
  for (const [key, value] of Object.entries(mutable)) {
    if (!mutableKeys.includes(key)) {
      throw invalid(
        `mutable_parameters: unknown key ${JSON.stringify(key)}; only ${mutableKeys.join(", ") || "nothing"} can be modified`,
      );
    }
    if (key === "reclaimSpace") parseInterval(`mutable_parameters.${key}`, value);
  }
}

function oneOf<T extends string>(key: string, value: string | undefined, allowed: readonly T[]): T | null {
  if (value === undefined || value === "") return null;
  if (!allowed.includes(value as T))
    throw invalid(`parameters[${key}]: ${JSON.stringify(value)} is not one of ${allowed.join(", ")}`);
  return value as T;
}
