import { StorageError } from "../../errors/storage-error.js";
import type { Bucket } from "../../model/bucket.js";
import { MAX_PUT_BYTES, NULL_VERSION, type ObjectVersion } from "../../model/object.js";
import { step } from "../../runtime/steps.js";
import type { PutObject, WritePreconditions } from "../object-engine.js";
import type { Context } from "../types.js";
import { textOf, type UpstreamBody, type UpstreamResponse } from "./client.js";
import { failureOfAnswer } from "./failures.js";
import { headerOf, timeOf, unquoted, wholeSeconds } from "./headers.js";
import { gathered, heldBack, type Whole, wholeOf } from "./held-back.js";
import type { HeldLease } from "./leases.js";
import { checkPreconditions, currentOf, isConditional } from "./lookup.js";
import { noteKey, removeNotes, versionNote } from "./notes.js";
import { checkKey, checkLength, type Place, upstreamName } from "./place.js";
import { putUnmeasured } from "./put-unmeasured.js";
import { newGeneration, noteHeader, RECORD_HEADER, recordHeader, type VersionRecord } from "./record.js";

/**
 * What is gathered before it is sent. Such a body's checksum is known when its request begins, so that its record fits the
 * header; a larger one's lies in a note, which is one more request. The gateway gathers 64 KiB by itself.
 */
const GATHERED_BYTES = 256 * 1024;

export async function put(place: Place, ctx: Context, request: PutObject): Promise<ObjectVersion> {
  const { key, body, attributes, preconditions } = request;
  const bucket = await place.book.known(ctx, request.bucket);
  checkKey(key);
  checkLength(body, MAX_PUT_BYTES);
  await place.book.checkQuota(ctx, bucket, { objects: 1, bytes: body.lengthBytes ?? 0 });
  await place.marks.before(ctx, bucket, attributes);
  if (body.lengthBytes === undefined) return putUnmeasured(place, ctx, bucket, request);
  const bytes = await gathered(body, GATHERED_BYTES);
  // Told before its body is sent, and without a lease, where it does not hold now; decided at its end.
  if (isConditional(preconditions)) checkPreconditions(preconditions, await currentOf(place, ctx, bucket, key));
  const generation = newGeneration();
  const recordOf = ({ digest }: Whole): VersionRecord => ({
    ...{ generation, etag: null, checksum: digest.checksum, partsCount: 0, attributes },
  });
  const guard = new Guard(place, ctx, bucket, key, preconditions);
  const target = { method: "PUT", bucket: upstreamName(place, bucket.name), key } as const;
  let whole: Whole | undefined;
  let noted = false;
  try {
    let response: UpstreamResponse;
    if (bytes) {
      whole = await wholeOf(body, bytes.length);
      const record = recordOf(whole);
      const header = recordHeader(record);
      if (header === undefined) await writeNote(place, ctx, bucket, key, record);
      noted = header === undefined;
      await guard.enter();
      const headers = { ...guard.native(), ...recordHeaders(record, header), "content-md5": base64Of(whole) };
      response = await place.client.send(ctx, { ...target, headers, body: bytes });
    } else {
      const chunks = heldBack(ctx, body, MAX_PUT_BYTES, async (known) => {
        whole = known;
        await writeNote(place, ctx, bucket, key, recordOf(known));
        noted = true;
        step("object-put/stored");
        await guard.enter();
      });
      const headers = {
        ...guard.native(),
        ...plainHeaders(attributes.contentType),
        [RECORD_HEADER]: noteHeader(generation),
      };
      const streamed: UpstreamBody = { lengthBytes: body.lengthBytes, chunks };
      response = await place.client.send(ctx, { ...target, headers, body: streamed });
    }
    const text = await textOf(response);
    if (response.status !== 200) throw await guard.explained(failureOfAnswer(target, response.status, text));
    if (!whole) throw new StorageError("internal", "the upstream took the object before its end");
    step("object-put/committed");
    await checkTaken(place, ctx, bucket, key, response, whole.digest.md5);
    return versionMade(bucket, key, recordOf(whole), response, whole.sizeBytes, whole.digest.md5);
  } catch (error) {
    if (noted) await removeNotes(place.notes, ctx, bucket.name, key, generation, 0);
    throw error;
  } finally {
    await guard.leave();
  }
}

const base64Of = ({ digest }: Whole): string => Buffer.from(digest.md5, "hex").toString("base64");

export const writeNote = (place: Place, ctx: Context, bucket: Bucket, key: string, record: VersionRecord) =>
  place.notes.write(ctx, noteKey(bucket.name, key, record.generation), versionNote(key, record), "any");

const PLAIN = /^[\x21-\x7e]([\x20-\x7e]{0,254}[\x21-\x7e])?$/;

/** For who reads the upstream by another way; what counts is the record. */
export const plainHeaders = (contentType: string): Record<string, string> =>
  PLAIN.test(contentType) ? { "content-type": contentType } : {};

export const recordHeaders = (record: VersionRecord, header = recordHeader(record)): Record<string, string> => ({
  ...plainHeaders(record.attributes.contentType),
  [RECORD_HEADER]: header ?? noteHeader(record.generation),
});

/** The upstream's digest of what it took is ours: nothing happened to the bytes between us. */
async function checkTaken(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  key: string,
  { headers }: UpstreamResponse,
  md5: string,
): Promise<void> {
  const etag = unquoted(headers.etag);
  // Of an upstream that encrypts, the ETag is no digest.
  if (etag === md5 || !/^[0-9a-f]{32}$/.test(etag) || headers["x-amz-server-side-encryption"] !== undefined) return;
  const versionId = headerOf(headers, "x-amz-version-id");
  const query = versionId === undefined ? {} : { versionId };
  await place.client.run(
    ctx,
    { method: "DELETE", bucket: upstreamName(place, bucket.name), key, query },
    200,
    204,
    404,
  );
  throw new StorageError("unavailable", "the upstream stored other bytes than were sent; try again", {
    reason: "busy",
  });
}

/** The version that a write made, without reading it again. */
export function versionMade(
  bucket: Bucket,
  key: string,
  record: VersionRecord,
  { headers }: Pick<UpstreamResponse, "headers">,
  sizeBytes: number,
  etag: string,
): ObjectVersion {
  const { attributes, checksum, generation, partsCount } = record;
  const versionId =
    bucket.versioning === "enabled" ? (headerOf(headers, "x-amz-version-id") ?? NULL_VERSION) : NULL_VERSION;
  return {
    ...{ key, versionId, isLatest: true, deleteMarker: false },
    ...{ lastModifiedMs: timeOf(headers.date) || wholeSeconds(Date.now()), etag: record.etag ?? etag, sizeBytes },
    ...{
      storageClass: attributes.storageClass,
      ownerId: attributes.ownerId,
      checksum,
      generation,
      attributes,
      partsCount,
    },
  };
}

/**
 * Decides a write's preconditions at its end: those who ask for anything take the key's lease, look, and write while they
 * have it.
 */
export class Guard {
  readonly #place: Place;
  readonly #ctx: Context;
  readonly #bucket: Bucket;
  readonly #key: string;
  readonly #preconditions: WritePreconditions;
  #lease: HeldLease | undefined;

  constructor(place: Place, ctx: Context, bucket: Bucket, key: string, preconditions: WritePreconditions) {
    this.#place = place;
    this.#ctx = ctx;
    this.#bucket = bucket;
    this.#key = key;
    this.#preconditions = preconditions;
  }

  /**
   * The condition as a header, where the upstream decides it too: a PUT that must be a key's first, where there are no
   * versions. It holds against those that ask for nothing and so take no lease.
   */
  native(): Record<string, string> {
    const isNative = this.#bucket.versioning === "off" && this.#preconditions.ifNoneMatch === "*";
    return isNative ? { "if-none-match": "*" } : {};
  }

  /** @throws what checkPreconditions throws; busy */
  async enter(): Promise<void> {
    if (!isConditional(this.#preconditions)) return;
    this.#lease = await this.#place.leases.acquire(this.#ctx, this.#bucket.name, this.#key);
    const current = await currentOf(this.#place, this.#ctx, this.#bucket, this.#key);
    checkPreconditions(this.#preconditions, current);
    this.#lease.check();
  }

  /** A refusal of the upstream's, as one of ours: If-Match of a key that is not there is no-such-key. */
  async explained(error: StorageError): Promise<StorageError> {
    if (error.reason !== "precondition-failed" && error.reason !== "no-such-key") return error;
    try {
      checkPreconditions(this.#preconditions, await currentOf(this.#place, this.#ctx, this.#bucket, this.#key));
    } catch (known) {
      if (known instanceof StorageError) return known;
    }
    return error;
  }

  async leave(): Promise<void> {
    await this.#lease?.release();
    this.#lease = undefined;
  }
}
