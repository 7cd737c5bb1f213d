import { refused, StorageError } from "../../errors/storage-error.js";
import type { Bucket } from "../../model/bucket.js";
import { MAX_PUT_BYTES, type ObjectVersion } from "../../model/object.js";
import type { BodySource, PutObject } from "../object-engine.js";
import type { Context } from "../types.js";
import { textOf } from "./client.js";
import { sendCompletion, versionOf } from "./complete.js";
import { unquoted } from "./headers.js";
import { wholeOf } from "./held-back.js";
import { removeNotes } from "./notes.js";
import { type Place, tooLarge, upstreamName } from "./place.js";
import { Guard, plainHeaders, put, writeNote } from "./put.js";
import { newGeneration, noteHeader, RECORD_HEADER } from "./record.js";
import { parseAnswer, text } from "./xml.js";

const PIECE_BYTES = 8 * 1024 ** 2;

/**
 * A body whose length nobody told (a form's file): an upstream wants to know it first. One that is over soon is gathered; a
 * longer one goes up in parts, of which one is in memory. It is an object of one piece all the same: its ETag and checksum
 * are in its note, and the bucket is marked, since the upstream's listings have another ETag.
 */
export async function putUnmeasured(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  request: PutObject,
): Promise<ObjectVersion> {
  const { body, key, attributes, preconditions } = request;
  const pieces = piecesOf(body);
  const first = await pieces.next();
  const second = first.done ? first : await pieces.next();
  if (second.done) {
    const bytes = first.done ? Buffer.alloc(0) : first.value;
    return put(place, ctx, { ...request, body: { bytes, lengthBytes: bytes.length, finish: () => body.finish() } });
  }
  await place.marks.mark(ctx, bucket);
  const generation = newGeneration();
  const target = { bucket: upstreamName(place, bucket.name), key };
  const headers = { ...plainHeaders(attributes.contentType), [RECORD_HEADER]: noteHeader(generation) };
  const begun = await place.client.expect(ctx, { method: "POST", ...target, query: { uploads: "" }, headers }, 200);
  const uploadId = text(parseAnswer(await textOf(begun), "InitiateMultipartUploadResult"), "UploadId");
  const guard = new Guard(place, ctx, bucket, key, preconditions);
  try {
    const parts: { number: number; etag: string }[] = [];
    let sizeBytes = 0;
    const send = async (bytes: Buffer) => {
      sizeBytes += bytes.length;
      if (sizeBytes > MAX_PUT_BYTES) throw tooLarge(sizeBytes, MAX_PUT_BYTES);
      await place.book.checkQuota(ctx, bucket, { objects: 1, bytes: bytes.length });
      const query = { partNumber: String(parts.length + 1), uploadId };
      const sent = await place.client.run(ctx, { method: "PUT", ...target, query, body: bytes }, 200);
      parts.push({ number: parts.length + 1, etag: unquoted(sent.headers.etag) });
    };
    await send(first.value as Buffer);
    await send(second.value);
    for (let piece = await pieces.next(); !piece.done; piece = await pieces.next()) await send(piece.value);
    const { digest } = await wholeOf(body, sizeBytes);
    const record = { generation, etag: digest.md5, checksum: digest.checksum, partsCount: 0, attributes };
    await writeNote(place, ctx, bucket, key, record);
    await guard.enter();
    await sendCompletion(place, ctx, bucket, { key, uploadId, parts });
  } catch (error) {
    await place.client
      .run(ctx, { method: "DELETE", ...target, query: { uploadId } }, 200, 204, 404)
      .catch(() => undefined);
    if (!(error instanceof StorageError) || error.code !== "unavailable")
      await removeNotes(place.notes, ctx, bucket.name, key, generation, 0);
    throw error;
  } finally {
    await guard.leave();
  }
  const version = await versionOf(place, ctx, bucket, key, generation);
  if (!version) throw refused("conflict", "the object was replaced or deleted in the moment it was written");
  return version;
}

/** The body in pieces of one size, but for the last; at least one, unless it is empty. */
async function* piecesOf({ bytes }: BodySource): AsyncGenerator<Buffer, undefined, undefined> {
  if (Buffer.isBuffer(bytes)) {
    yield bytes;
    return;
  }
  let chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of bytes) {
    chunks.push(Buffer.from(chunk));
    length += chunk.length;
    if (length < PIECE_BYTES) continue;
    yield Buffer.concat(chunks, length);
    chunks = [];
    length = 0;
  }
  if (length > 0) yield Buffer.concat(chunks, length);
}
