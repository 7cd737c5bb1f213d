import { randomBytes } from "node:crypto";

/**
 * Ids carry a version, the engine, and what that engine needs to find the thing by the id alone; never a secret. An id of
 * any other shape is not ours; it names nothing that exists, and is never a bad argument (rules/csi.md 35).
 *
 *   g1-l-v-<24 hex>                            local
 *   g1-r-v-<place>-<24 hex>-<image id>         RBD: place is CLUSTER.POOL-ID or CLUSTER.POOL-ID.NAMESPACE-HASH; the hex is
 *                                              the name's digest; the image id is RBD's own, so that an id never means a
 *                                              later volume of the same name
 *   g1-f-v-<place>-<24 hex>-<12 hex>           CephFS: place is CLUSTER.FILESYSTEM-ID; the last is random, of the subvolume
 *
 * Ids become names of files and of Ceph's objects: letters, digits, dots, underscores and hyphens alone.
 */
export type IdKind = "v" | "s" | "g";
/** local, rbd, cephfs */
export type EngineLetter = "l" | "r" | "f";

const SHAPES: Record<EngineLetter, RegExp> = {
  l: /^g1-l-([vsg])-([0-9a-f]{24})$/,
  r: /^g1-r-([vsg])-([a-z0-9]{1,16}\.[0-9]{1,10}(?:\.[0-9a-f]{8})?)-([0-9a-f]{24})-([0-9a-f]{1,32})$/,
  f: /^g1-f-([vsg])-([a-z0-9]{1,16}\.[0-9]{1,10})-([0-9a-f]{24})-([0-9a-f]{12})$/,
};

export interface IdParts {
  engine: EngineLetter;
  kind: IdKind;
  /** What follows the kind, in order. */
  parts: readonly string[];
}

/** Undefined for what no engine of ours made. */
export function parseId(id: string): IdParts | undefined {
  const engine = id[3];
  const shape = engine !== undefined && Object.hasOwn(SHAPES, engine) ? SHAPES[engine as EngineLetter] : undefined;
  const [, kind, ...parts] = shape?.exec(id) ?? [];
  return kind === undefined ? undefined : { engine: engine as EngineLetter, kind: kind as IdKind, parts };
}

export function makeId(engine: EngineLetter, kind: IdKind, ...parts: readonly string[]): string {
  return [`g1-${engine}-${kind}`, ...parts].join("-");
}

/** A local volume's, snapshot's or group's new id. */
export function newId(kind: IdKind): string {
  return makeId("l", kind, randomBytes(12).toString("hex"));
}

export function isOurs(id: string, kind: IdKind): boolean {
  return parseId(id)?.kind === kind;
}

/** Of the local engine, by its id. */
export const isLocal = (id: string): boolean => parseId(id)?.engine === "l";
