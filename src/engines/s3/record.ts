import { randomBytes } from "node:crypto";
import type { Checksum, ChecksumAlgorithm, ObjectAttributes, Pairs, Retention } from "../../model/object.js";

/**
 * What Granary says of a version beside its bytes. The upstream's own words for these things are its one user's: owner,
 * ACL, tags and locks there would all be that user's, and checksums Ceph 16 does not know.
 */
export interface VersionRecord {
  /** Of this version alone; chosen before its bytes are sent, so that a note of it can be there when it becomes visible. */
  readonly generation: string;
  /** Null: the upstream's. */
  readonly etag: string | null;
  readonly checksum: Checksum | null;
  readonly partsCount: number;
  readonly attributes: ObjectAttributes;
  /** Where the upstream's time is not the version's: Ceph takes a change of its tags for one of the version. */
  readonly modifiedMs?: number;
}

/** The header that rides with each version upstream: its record, or that it lies in a note. */
export const RECORD_HEADER = "x-amz-meta-granary";

/** Amazon's limit for all metadata of an object is 2 KiB; a longer record lies in a note. */
const HEADER_BYTES = 1900;

export const newGeneration = (): string => randomBytes(16).toString("base64url");

/** As it is written: what is usual is left out. */
interface Written {
  g: string;
  e?: string;
  /** Algorithm, F or C, value. */
  c?: [string, string, string];
  n?: number;
  m?: number;
  o: string;
  t: string;
  s?: Pairs;
  u?: Pairs;
  k?: string;
  x?: Pairs;
  a?: string;
  r?: [string, number];
  l?: boolean;
}

const STANDARD = "STANDARD";

export function writtenRecord(record: VersionRecord): Written {
  const { generation, etag, checksum, partsCount, attributes } = record;
  const { contentType, system, user, storageClass, tags, acl, ownerId, retention, legalHold } = attributes;
  return {
    g: generation,
    ...(etag === null ? {} : { e: etag }),
    ...(checksum ? { c: [checksum.algorithm, checksum.type === "COMPOSITE" ? "C" : "F", checksum.value] } : {}),
    ...(partsCount === 0 ? {} : { n: partsCount }),
    ...(record.modifiedMs === undefined ? {} : { m: record.modifiedMs }),
    o: ownerId,
    t: contentType,
    ...(system.length === 0 ? {} : { s: system }),
    ...(user.length === 0 ? {} : { u: user }),
    ...(storageClass === STANDARD ? {} : { k: storageClass }),
    ...(tags.length === 0 ? {} : { x: tags }),
    ...(acl === null ? {} : { a: acl }),
    ...(retention ? { r: [retention.mode, retention.untilMs] } : {}),
    ...(legalHold === null ? {} : { l: legalHold }),
  };
}

export function readRecord(written: Written): VersionRecord {
  const { g, e, c, n, m } = written;
  const checksum: Checksum | null = c
    ? { algorithm: c[0] as ChecksumAlgorithm, type: c[1] === "C" ? "COMPOSITE" : "FULL_OBJECT", value: c[2] }
    : null;
  return {
    ...{ generation: g, etag: e ?? null, checksum, partsCount: n ?? 0, attributes: attributesOf(written) },
    ...(m === undefined ? {} : { modifiedMs: m }),
  };
}

function attributesOf({ o, t, s, u, k, x, a, r, l }: Written): ObjectAttributes {
  return {
    contentType: t,
    system: s ?? [],
    user: u ?? [],
    storageClass: k ?? STANDARD,
    tags: x ?? [],
    acl: a ?? null,
    ownerId: o,
    retention: r ? { mode: r[0] as Retention["mode"], untilMs: r[1] } : null,
    legalHold: l ?? null,
  };
}

/** Undefined where it is too long for a header. */
export function recordHeader(record: VersionRecord): string | undefined {
  const text = asciiJson(writtenRecord(record));
  return text.length <= HEADER_BYTES ? text : undefined;
}

/** Where the record lies in a note, this alone is in the header. */
export const noteHeader = (generation: string): string => asciiJson({ g: generation, note: 1 });

/** A header's value is visible ASCII; spaces at its ends, or two side by side, are not signed as they are. */
const asciiJson = (value: object): string =>
  JSON.stringify(value).replace(/[^\x21-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

export type HeaderRecord = { record: VersionRecord } | { noteOf: string };

/** Undefined of what is none of ours: it was put there by another way. */
export function readHeader(value: string | undefined): HeaderRecord | undefined {
  if (value === undefined) return undefined;
  try {
    const parsed = JSON.parse(value) as Partial<Written> & { note?: 1 };
    if (typeof parsed.g !== "string") return undefined;
    if (parsed.note === 1) return { noteOf: parsed.g };
    return typeof parsed.o === "string" && typeof parsed.t === "string"
      ? { record: readRecord(parsed as Written) }
      : undefined;
  } catch {
    return undefined;
  }
}
