import { createHash } from "node:crypto";
import { refused, StorageError } from "../../errors/storage-error.js";
import type { ObjectPart } from "../../model/object.js";
import type { Context } from "../types.js";
import { objectsFolder, reservedBucket } from "./bucket-book.js";
import { bytesOf, textOf, type UpstreamClient } from "./client.js";
import { failureOfAnswer } from "./failures.js";
import { unquoted } from "./headers.js";
import { inTurns } from "./place.js";
import { readRecord, type VersionRecord, writtenRecord } from "./record.js";
import { decoded, parseAnswer, text } from "./xml.js";

export interface Note<T> {
  readonly value: T;
  /** Of this state of the note: what a change is made on. */
  readonly etag: string;
}

const REMOVED_AT_ONCE = 32;

/** On what a note is written: that it is not there yet, this state of it, or whatever is there. */
export type NoteCondition = "new" | { etag: string } | "any";

/**
 * Small JSON documents in the reserved bucket, which has no versions. A write names what it is made on and the upstream
 * decides it, so of two writers one is told.
 */
export class Notes {
  readonly #client: UpstreamClient;
  readonly #bucket: string;

  constructor(client: UpstreamClient) {
    this.#client = client;
    this.#bucket = reservedBucket(client.settings.prefix);
  }

  async read<T>(ctx: Context, key: string): Promise<Note<T> | undefined> {
    const request = { method: "GET", bucket: this.#bucket, key } as const;
    const response = await this.#client.send(ctx, request);
    const bytes = await bytesOf(response);
    if (response.status === 404) return undefined;
    if (response.status !== 200) throw failureOfAnswer(request, response.status, bytes.toString());
    return { value: JSON.parse(bytes.toString()) as T, etag: unquoted(response.headers.etag) };
  }

  /** @returns the note's etag now. @throws conflict where the condition does not hold */
  async write(ctx: Context, key: string, value: unknown, condition: NoteCondition): Promise<string> {
    const headers: Record<string, string> = { "content-type": "application/json" };
    if (condition === "new") headers["if-none-match"] = "*";
    // Without quotes: Ceph 16 compares a PUT's with the bare ETag.
    else if (condition !== "any") headers["if-match"] = condition.etag;
    const body = Buffer.from(JSON.stringify(value));
    const request = { method: "PUT", bucket: this.#bucket, key, headers, body } as const;
    const response = await this.#client.send(ctx, request);
    const text = await textOf(response);
    if (response.status === 200) return unquoted(response.headers.etag);
    // Ceph: 404 where If-Match names what is not there, 500 of some that race.
    const lost =
      condition !== "any" && [404, 409, 412, 500].includes(response.status) && !text.includes("NoSuchBucket");
    throw lost ? refused("conflict", "the note has changed") : failureOfAnswer(request, response.status, text);
  }

  /** An empty document whose key says all. */
  async mark(ctx: Context, key: string): Promise<void> {
    await this.#client.run(ctx, { method: "PUT", bucket: this.#bucket, key, body: Buffer.alloc(0) }, 200);
  }

  async remove(ctx: Context, key: string): Promise<void> {
    await this.#client.run(ctx, { method: "DELETE", bucket: this.#bucket, key }, 200, 204, 404);
  }

  /** Keys that begin with the folder's name, in their order, from the one of this name on. */
  async *keys(ctx: Context, folder: string, from = ""): AsyncGenerator<string, void, undefined> {
    for (let after = from === "" ? "" : before(from), truncated = true; truncated; ) {
      const query = { "list-type": "2", "encoding-type": "url", prefix: folder, "start-after": after || undefined };
      const response = await this.#client.expect(ctx, { method: "GET", bucket: this.#bucket, query }, 200);
      const root = parseAnswer(await textOf(response), "ListBucketResult");
      const keys = root.children.filter(({ name }) => name === "Contents").map((node) => decoded(text(node, "Key")));
      yield* keys;
      truncated = text(root, "IsTruncated") === "true" && keys.length > 0;
      after = keys[keys.length - 1] ?? "";
    }
  }

  /** All that begin with the folder's name, but for one. */
  async removeAll(ctx: Context, folder: string, kept?: string): Promise<void> {
    const keys: string[] = [];
    for await (const key of this.keys(ctx, folder)) if (key !== kept) keys.push(key);
    await inTurns(keys, REMOVED_AT_ONCE, (key) => this.remove(ctx, key));
  }
}

/** A text that no key of the reserved bucket lies between and this one: all are plain ASCII. */
const before = (key: string): string =>
  `${key.slice(0, -1) + String.fromCharCode(key.charCodeAt(key.length - 1) - 1)}~`;

export const isConflict = (error: unknown): boolean => error instanceof StorageError && error.reason === "conflict";

/** Characters of the reserved bucket's keys that every upstream takes as they are. */
const plain = (text: string) => text.replace(/[^A-Za-z0-9._~-]/g, (c) => `=${c.charCodeAt(0).toString(16)}=`);

const hashOf = (text: string) => createHash("sha256").update(text).digest("hex").slice(0, 32);

/** Where a version's note is: under its key, so that what is left over can be found by it. */
export const noteKey = (bucket: string, key: string, generation: string): string =>
  `${objectsFolder(bucket)}versions/${hashOf(key)}/${plain(generation)}`;

export const partsKey = (bucket: string, key: string, generation: string): string =>
  `${noteKey(bucket, key, generation)}.parts`;

export const uploadFolder = (bucket: string, uploadId: string): string =>
  `${objectsFolder(bucket)}uploads/${plain(uploadId)}/`;

export const leaseKey = (bucket: string, key: string): string => `leases/${hashOf(`${bucket}\0${key}`)}`;

/** A version's record where it is not in its header. The key is told for who cleans up. */
export interface VersionNote {
  readonly key: string;
  readonly record: ReturnType<typeof writtenRecord>;
}

export const versionNote = (key: string, record: VersionRecord): VersionNote => ({
  key,
  record: writtenRecord(record),
});

export async function readVersionNote(
  notes: Notes,
  ctx: Context,
  bucket: string,
  key: string,
  generation: string,
): Promise<Note<VersionRecord> | undefined> {
  const note = await notes.read<VersionNote>(ctx, noteKey(bucket, key, generation));
  return note && { value: readRecord(note.value.record), etag: note.etag };
}

export async function readParts(
  notes: Notes,
  ctx: Context,
  bucket: string,
  key: string,
  generation: string,
): Promise<readonly ObjectPart[]> {
  return (await notes.read<ObjectPart[]>(ctx, partsKey(bucket, key, generation)))?.value ?? [];
}

/** What a version that is gone leaves. Whatever fails is found later by scrub. */
export async function removeNotes(
  notes: Notes,
  ctx: Context,
  bucket: string,
  key: string,
  generation: string,
  partsCount: number,
): Promise<void> {
  try {
    await notes.remove(ctx, noteKey(bucket, key, generation));
    if (partsCount > 0) await notes.remove(ctx, partsKey(bucket, key, generation));
  } catch (error) {
    ctx.log.warn({ err: error, bucket, key }, "the note of a version that is gone could not be removed; scrub will");
  }
}
