import { createHash } from "node:crypto";
import { setMaxListeners } from "node:events";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import pino from "pino";
import { expect } from "vitest";
import { checkObjectStore } from "../../src/engines/local/objects/doctor.js";
import {
  type LocalObjectEngine,
  type ObjectWriter,
  openObjectEngine,
  startObjectWriter,
} from "../../src/engines/local/objects/index.js";
import { openTables, type TableName } from "../../src/engines/local/objects/tables.js";
import type {
  BodyDigest,
  BodySource,
  ListItem,
  ListPage,
  ObjectEngine,
  WritePreconditions,
} from "../../src/engines/object-engine.js";
import type { Context } from "../../src/engines/types.js";
import { StorageError } from "../../src/errors/storage-error.js";
import type { Bucket, NewBucket } from "../../src/model/bucket.js";
import type { ObjectAttributes, ObjectVersion } from "../../src/model/object.js";

const { signal } = new AbortController();
// All calls of a test have this one; a request has its own.
setMaxListeners(0, signal);
export const ctx: Context = { signal, requestId: "test", log: pino({ level: "silent" }) };

/** What a suite of the contract runs on: an engine of any kind, with nothing in it. */
export interface SuiteWorld {
  engine: ObjectEngine;
  /** Keys that the engine takes: all that S3 allows, or what its upstream does. */
  readonly takesKey: (key: string) => boolean;
  /** Ids of the right form that no version has, and others that were never one. */
  readonly unknownIds: readonly string[];
  readonly neverIds: readonly string[];
  /** Whether an upload is completed with some of its parts. */
  readonly completesSome: boolean;
  /** Whether a part that was sent twice is counted once. */
  readonly forgetsParts: boolean;
  /** A version id that no version has, as a marker: all versions of its key are behind it. */
  markerBefore(): string;
  /** Others, behind which none is. */
  readonly markersBehind: readonly string[];
  /** How often a property is tried. */
  readonly runs: number;
  /** What lies under the engine agrees with itself. */
  expectSound(): Promise<void>;
  /** Ends the engine, and starts it anew on the same data. */
  reopen(): Promise<void>;
  close(): Promise<void>;
}

/** The real engine beside its real writer, in a folder of its own. */
export interface EngineWorld extends SuiteWorld {
  readonly dir: string;
  engine: LocalObjectEngine;
}

export async function makeEngineWorld(inlineBytes = 1024): Promise<EngineWorld> {
  const dir = mkdtempSync(join(tmpdir(), "granary-engine-"));
  let writer: ObjectWriter = await startObjectWriter({ dir });
  const world: EngineWorld = {
    dir,
    engine: await openObjectEngine({ dir, inlineBytes }),
    takesKey: () => true,
    unknownIds: ["A".repeat(22)],
    neverIds: ["nonsense", "A\u00e9", `AP${"_".repeat(19)}w`],
    completesSome: true,
    forgetsParts: true,
    markerBefore() {
      // Its beginning is a time.
      const id = Buffer.alloc(16);
      id.writeBigUInt64BE(BigInt(Date.now() + 86_400_000) * 1024n);
      return id.toString("base64url");
    },
    markersBehind: ["nonsense", "A".repeat(22), "B".repeat(22), `AP${"_".repeat(19)}w`],
    runs: 1500,
    expectSound: () => expectSound(dir),
    async reopen() {
      await world.engine.close();
      await writer.close();
      writer = await startObjectWriter({ dir });
      world.engine = await openObjectEngine({ dir, inlineBytes });
    },
    async close() {
      await world.engine.close();
      await writer.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return world;
}

export const ATTRIBUTES: ObjectAttributes = {
  contentType: "text/plain",
  system: [],
  user: [],
  storageClass: "STANDARD",
  tags: [],
  acl: null,
  ownerId: "alice",
  retention: null,
  legalHold: null,
};

export const NEW_BUCKET: Omit<NewBucket, "name"> = {
  ownerId: "alice",
  region: "us-east-1",
  objectLock: false,
  durability: "strict",
  quotaBytes: null,
  quotaObjects: null,
  config: {},
};

let made = 0;

export async function makeBucket(
  engine: ObjectEngine,
  bucket: Partial<NewBucket> & { versioning?: Bucket["versioning"] } = {},
): Promise<string> {
  const { versioning, ...rest } = bucket;
  const name = bucket.name ?? `bucket-${++made}`;
  await engine.createBucket(ctx, { ...NEW_BUCKET, ...rest, name });
  if (versioning && versioning !== "off") await engine.changeBucket(ctx, name, { versioning: "enabled" });
  if (versioning === "suspended") await engine.changeBucket(ctx, name, { versioning });
  return name;
}

export const md5Of = (bytes: Buffer): string => createHash("md5").update(bytes).digest("hex");

export function digestOf(bytes: Buffer): BodyDigest {
  const value = Buffer.alloc(4);
  value.writeUInt32BE(crc32(bytes));
  return { md5: md5Of(bytes), checksum: { algorithm: "CRC32", type: "FULL_OBJECT", value: value.toString("base64") } };
}

export function sourceOf(bytes: Buffer): BodySource {
  return { bytes, lengthBytes: bytes.length, finish: () => digestOf(bytes) };
}

export interface PutOptions {
  readonly preconditions?: WritePreconditions;
  readonly attributes?: Partial<ObjectAttributes>;
}

export function put(
  engine: ObjectEngine,
  bucket: string,
  key: string,
  content: string | Buffer = key,
  { preconditions = {}, attributes = {} }: PutOptions = {},
): Promise<ObjectVersion> {
  const body = sourceOf(Buffer.from(content));
  return engine.put(ctx, { bucket, key, body, attributes: { ...ATTRIBUTES, ...attributes }, preconditions });
}

export async function get(engine: ObjectEngine, bucket: string, key: string, versionId?: string): Promise<string> {
  return (await getBytes(engine, bucket, key, versionId)).toString();
}

export async function getBytes(engine: ObjectEngine, bucket: string, key: string, versionId?: string): Promise<Buffer> {
  const opened = await engine.open(ctx, { bucket, key, versionId });
  try {
    const bytes = opened.read(0, opened.version.sizeBytes);
    if (Buffer.isBuffer(bytes)) return bytes;
    const pieces: Buffer[] = [];
    for await (const piece of bytes) pieces.push(Buffer.from(piece));
    return Buffer.concat(pieces);
  } finally {
    opened.close();
  }
}

export function remove(
  engine: ObjectEngine,
  bucket: string,
  key: string,
  options: { versionId?: string; preconditions?: WritePreconditions; bypassGovernance?: boolean } = {},
) {
  return engine.delete(ctx, { bucket, key, preconditions: {}, bypassGovernance: false, ...options });
}

/** Why it was refused: the reason, or the code where there is none; "fulfilled" where it was not. */
export async function refusalOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return "fulfilled";
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    return error.reason ?? error.code;
  }
}

/** A listing as lines: prefixes, and what `line` says of the others. */
export function linesOf<T>(page: ListPage<T>, line: (entry: T) => string): string[] {
  return page.items.map((item: ListItem<T>) => ("prefix" in item ? `PRE ${item.prefix}` : line(item.entry)));
}

/** Every version of a bucket, as "key=what latest", in the order of the listing. */
export async function versionsOf(engine: ObjectEngine, bucket: string): Promise<string[]> {
  const request = { bucket, prefix: "", delimiter: "", keyMarker: "", versionIdMarker: "", limit: 1000 };
  return linesOf(
    await engine.listVersions(ctx, request),
    ({ key, versionId, deleteMarker, isLatest, sizeBytes }) =>
      `${key}: ${versionId === "null" ? "null" : "id"} ${deleteMarker ? "marker" : sizeBytes}${isLatest ? " latest" : ""}`,
  );
}

/** The metadata agrees with itself, counted anew, and with the files. */
export async function expectSound(dir: string): Promise<void> {
  expect((await checkObjectStore(dir))?.findings).toEqual([]);
}

export function rowsIn(dir: string, names: readonly TableName[]): Record<string, number> {
  const tables = openTables(dir, { readOnly: true });
  try {
    return Object.fromEntries(names.map((name) => [name, [...tables[name].getKeys({})].length]));
  } finally {
    void tables.root.close();
  }
}

/** Every file of bodies. */
export function bodyFiles(dir: string): string[] {
  const bodies = join(dir, "bodies");
  return readdirSync(bodies, { recursive: true, encoding: "utf8" }).filter((name) =>
    statSync(join(bodies, name)).isFile(),
  );
}
