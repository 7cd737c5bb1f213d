import { randomBytes } from "node:crypto";

/**
 * Ids carry a version and the engine, and nothing else: `g1-l-v-<24 hex>`. An id of any other shape is not ours; it
 * names nothing that exists, and is never a bad argument (rules/csi.md 35).
 */
export type IdKind = "v" | "s" | "g";

const SHAPE = /^g1-l-([vsg])-[0-9a-f]{24}$/;

export function newId(kind: IdKind): string {
  return `g1-l-${kind}-${randomBytes(12).toString("hex")}`;
}

export function isOurs(id: string, kind: IdKind): boolean {
  return SHAPE.exec(id)?.[1] === kind;
}
