import { refused, StorageError } from "../../errors/storage-error.js";
import type { Bucket } from "../../model/bucket.js";
import type { ObjectPart, ObjectVersion } from "../../model/object.js";
import type { OpenObject, VersionRef } from "../object-engine.js";
import type { Context } from "../types.js";
import { bytesOf, textOf, type UpstreamResponse } from "./client.js";
import { failureOfAnswer, failureOfConnection } from "./failures.js";
import { checkVersionId, type Found, findVersion, foundIn, notFound } from "./lookup.js";
import { readParts } from "./notes.js";
import { checkKey, type Place, upstreamName } from "./place.js";
import { Verifier, wholePieces } from "./verify.js";

/** What an open object has at hand: small ones whole, so that they cost one request. */
const FIRST_BYTES = 64 * 1024;

export async function head(
  place: Place,
  ctx: Context,
  { bucket: name, key, versionId }: VersionRef,
): Promise<ObjectVersion> {
  const bucket = await place.book.known(ctx, name);
  const [found, latestId] = await Promise.all([
    findVersion(place, ctx, bucket, key, versionId),
    latestOf(place, ctx, bucket, key, versionId),
  ]);
  if (!found) return notFound(place, ctx, bucket, key, versionId);
  return placed(found.version, versionId, latestId);
}

/** The current version's id, where it has to be asked for: a version that was named may be any. */
async function latestOf(place: Place, ctx: Context, bucket: Bucket, key: string, versionId: string | undefined) {
  if (versionId === undefined || bucket.versioning === "off") return undefined;
  checkKey(key);
  checkVersionId(versionId);
  const request = { method: "HEAD", bucket: upstreamName(place, bucket.name), key } as const;
  const response = await place.client.send(ctx, request);
  await bytesOf(response);
  return response.status === 200 ? (response.headers["x-amz-version-id"] ?? "null") : "";
}

const placed = (version: ObjectVersion, versionId: string | undefined, latestId: string | string[] | undefined) =>
  versionId === undefined || latestId === undefined || latestId === version.versionId
    ? version
    : { ...version, isLatest: false };

export async function open(place: Place, ctx: Context, ref: VersionRef): Promise<OpenObject> {
  const { key, versionId } = ref;
  const bucket = await place.book.known(ctx, ref.bucket);
  checkKey(key);
  checkVersionId(versionId);
  if (bucket.versioning === "off" && versionId !== undefined && versionId !== "null")
    return notFound(place, ctx, bucket, key, versionId);
  const [first, latestId] = await Promise.all([
    begin(place, ctx, bucket, key, versionId),
    latestOf(place, ctx, bucket, key, versionId),
  ]);
  const version = placed(first.found.version, versionId, latestId);
  return new UpstreamObject(place, ctx, bucket, { ...first.found, version }, first.bytes);
}

async function begin(place: Place, ctx: Context, bucket: Bucket, key: string, versionId: string | undefined) {
  const query = versionId === undefined || bucket.versioning === "off" ? {} : { versionId };
  const headers = { range: `bytes=0-${FIRST_BYTES - 1}` };
  const request = { method: "GET", bucket: upstreamName(place, bucket.name), key, query, headers } as const;
  const response = await place.client.send(ctx, request);
  const { status } = response;
  if (status === 200 || status === 206) {
    const bytes = await bytesOf(response);
    const total = Number(/\/(\d+)$/.exec(response.headers["content-range"] ?? "")?.[1] ?? bytes.length);
    return { found: await foundIn(place, ctx, bucket, key, response.headers, total), bytes };
  }
  const text = await textOf(response);
  if (status === 416) {
    // No byte of an empty object is in any range.
    const found = await findVersion(place, ctx, bucket, key, versionId);
    if (found?.version.sizeBytes === 0) return { found, bytes: Buffer.alloc(0) };
    throw refused("busy", "the object was overwritten while it was opened; try again");
  }
  if (status === 404 || status === 405 || (status === 400 && versionId !== undefined))
    return notFound(place, ctx, bucket, key, versionId);
  throw failureOfAnswer(request, status, text);
}

/** An object upstream whose first bytes are here. The others are asked for on condition that it is the same one still. */
class UpstreamObject implements OpenObject {
  readonly version: ObjectVersion;
  readonly #place: Place;
  readonly #ctx: Context;
  readonly #bucket: Bucket;
  readonly #upstreamEtag: string;
  readonly #first: Buffer;
  readonly #open = new Set<UpstreamResponse>();
  #closed = false;
  #verified = false;

  constructor(place: Place, ctx: Context, bucket: Bucket, found: Found, first: Buffer) {
    this.version = found.version;
    this.#upstreamEtag = found.upstreamEtag;
    this.#place = place;
    this.#ctx = ctx;
    this.#bucket = bucket;
    this.#first = first;
  }

  async parts(): Promise<readonly ObjectPart[]> {
    const { key, generation, partsCount } = this.version;
    if (partsCount === 0) return [];
    return readParts(this.#place.notes, this.#ctx, this.#bucket.name, key, generation);
  }

  read(offsetBytes: number, lengthBytes: number): Buffer | AsyncIterable<Buffer> {
    const { sizeBytes } = this.version;
    const end = offsetBytes + lengthBytes;
    if (this.#first.length === sizeBytes && this.version.partsCount === 0) {
      if (!this.#verified) this.#verifyFirst();
      return this.#first.subarray(offsetBytes, end);
    }
    if (offsetBytes === 0 && end === sizeBytes) return this.#readWhole();
    return this.#readRange(offsetBytes, end);
  }

  #verifyFirst(): void {
    const verifier = new Verifier(wholePieces(this.version, []));
    verifier.update(this.#first);
    verifier.end();
    this.#verified = true;
  }

  /** Its last piece is given out once all are known to be those that were written. */
  async *#readWhole(): AsyncGenerator<Buffer, void, undefined> {
    const verifier = new Verifier(wholePieces(this.version, await this.#partsToVerify()));
    let held: Buffer | undefined;
    for await (const piece of this.#readRange(0, this.version.sizeBytes)) {
      verifier.update(piece);
      if (held) yield held;
      held = piece;
    }
    verifier.end();
    if (held) yield held;
  }

  async #partsToVerify(): Promise<readonly ObjectPart[]> {
    const { checksum } = this.version;
    return checksum?.type === "FULL_OBJECT" ? [] : this.parts();
  }

  async *#readRange(start: number, end: number): AsyncGenerator<Buffer, void, undefined> {
    if (start >= end) return;
    const here = Math.min(end, this.#first.length);
    if (end <= here) {
      yield this.#first.subarray(start, end);
      return;
    }
    // Asked for before the first bytes are given out: where it is another object by now, that is told before any byte is.
    const from = Math.max(start, here);
    const response = await this.#get(from, end);
    try {
      if (start < here) yield this.#first.subarray(start, here);
      let left = end - from;
      for await (const chunk of response.body as AsyncIterable<Buffer>) {
        left -= chunk.length;
        yield chunk;
      }
      if (left !== 0) throw refused("busy", "the upstream's answer ended early");
    } catch (error) {
      throw error instanceof StorageError ? error : failureOfConnection(error);
    } finally {
      this.#open.delete(response);
      if (!response.body.readableEnded) response.body.destroy();
    }
  }

  async #get(from: number, end: number): Promise<UpstreamResponse> {
    if (this.#closed) throw new StorageError("cancelled", "the object was closed while it was read");
    const { key, versionId } = this.version;
    const query = this.#bucket.versioning === "off" ? {} : { versionId };
    const headers = { range: `bytes=${from}-${end - 1}`, "if-match": `"${this.#upstreamEtag}"` };
    const request = {
      method: "GET",
      bucket: upstreamName(this.#place, this.#bucket.name),
      key,
      query,
      headers,
    } as const;
    const response = await this.#place.client.send(this.#ctx, request);
    if (response.status !== 206) {
      const text = await textOf(response);
      if ([404, 412, 416].includes(response.status))
        throw refused("busy", "the object was overwritten or deleted while it was read; try again");
      throw failureOfAnswer(request, response.status, text);
    }
    this.#open.add(response);
    return response;
  }

  close(): void {
    this.#closed = true;
    for (const { body } of this.#open) body.destroy();
    this.#open.clear();
  }
}
