import { setMaxListeners } from "node:events";
import { invalid, refused, StorageError } from "../../errors/storage-error.js";
import type { Bucket } from "../../model/bucket.js";
import { MAX_PART_BYTES, MAX_PARTS, type ObjectPart, type Upload } from "../../model/object.js";
import { step } from "../../runtime/steps.js";
import type { CopyPart, NewUpload, PutPart, UploadRef } from "../object-engine.js";
import type { Context } from "../types.js";
import { textOf, type UpstreamBody, type UpstreamResponse } from "./client.js";
import { checkCopied, copiedEtag, findSource, isPlainSource, sourceBody, sourceHeaders } from "./copies.js";
import { failureOfAnswer } from "./failures.js";
import { timeOf, unquoted, wholeSeconds } from "./headers.js";
import { gathered, heldBack, type Whole, wholeOf } from "./held-back.js";
import { uploadFolder } from "./notes.js";
import { listedParts } from "./part-entries.js";
import { partNoteKey } from "./part-notes.js";
import { checkKey, checkLength, type Place, upstreamName } from "./place.js";
import { plainHeaders } from "./put.js";
import { newGeneration, noteHeader, RECORD_HEADER } from "./record.js";
import { parseAnswer, text } from "./xml.js";

/** What an upload was begun with. The upstream's own upload says its key and its time. */
export interface UploadNote {
  readonly upload: Upload;
  /** Of the version that it becomes. */
  readonly generation: string;
}

export const uploadNoteKey = (bucket: string, uploadId: string): string => `${uploadFolder(bucket, uploadId)}upload`;

const noSuchUpload = () => refused("no-such-upload", "the upload is not there: it may have been completed or aborted");

export async function createUpload(place: Place, ctx: Context, request: NewUpload): Promise<Upload> {
  const { key, initiatorId, attributes, checksumAlgorithm, checksumType } = request;
  const bucket = await place.book.known(ctx, request.bucket);
  checkKey(key);
  await place.marks.before(ctx, bucket, attributes);
  const generation = newGeneration();
  const target = { bucket: upstreamName(place, bucket.name), key };
  const headers = { ...plainHeaders(attributes.contentType), [RECORD_HEADER]: noteHeader(generation) };
  const response = await place.client.expect(ctx, { method: "POST", ...target, query: { uploads: "" }, headers }, 200);
  const uploadId = text(parseAnswer(await textOf(response), "InitiateMultipartUploadResult"), "UploadId");
  const initiatedMs = Date.now();
  const upload = { key, uploadId, initiatedMs, initiatorId, attributes, checksumAlgorithm, checksumType };
  try {
    const note: UploadNote = { upload, generation };
    await place.notes.write(ctx, uploadNoteKey(bucket.name, uploadId), note, "any");
  } catch (error) {
    await place.client
      .run(ctx, { method: "DELETE", ...target, query: { uploadId } }, 200, 204, 404)
      .catch(() => undefined);
    throw error;
  }
  return upload;
}

/** @throws no-such-upload */
export async function uploadNote(
  place: Place,
  ctx: Context,
  { bucket, key, uploadId }: UploadRef,
): Promise<UploadNote> {
  const note = isUploadId(uploadId)
    ? await place.notes.read<UploadNote>(ctx, uploadNoteKey(bucket, uploadId))
    : undefined;
  if (note?.value.upload.key !== key) throw noSuchUpload();
  return note.value;
}

export const isUploadId = (uploadId: string): boolean => uploadId !== "" && uploadId.length <= 512;

export async function upload(place: Place, ctx: Context, ref: UploadRef): Promise<Upload> {
  await place.book.known(ctx, ref.bucket);
  checkKey(ref.key);
  return (await uploadNote(place, ctx, ref)).upload;
}

function checkPartNumber(partNumber: number): void {
  if (!Number.isInteger(partNumber) || partNumber < 1 || partNumber > MAX_PARTS)
    throw invalid(`part number ${partNumber}: it must be 1 to ${MAX_PARTS}`);
}

export async function putPart(place: Place, ctx: Context, request: PutPart): Promise<ObjectPart> {
  const { key, uploadId, partNumber, body } = request;
  const bucket = await place.book.known(ctx, request.bucket);
  checkKey(key);
  if (!isUploadId(uploadId)) throw noSuchUpload();
  checkPartNumber(partNumber);
  checkLength(body, MAX_PART_BYTES);
  await place.book.checkQuota(ctx, bucket, { objects: 0, bytes: body.lengthBytes ?? 0 });
  const folder = uploadFolder(bucket.name, uploadId);
  const query = { partNumber: String(partNumber), uploadId };
  const target = { method: "PUT", bucket: upstreamName(place, bucket.name), key, query } as const;
  const note = ({ digest }: Whole) =>
    place.notes.mark(ctx, partNoteKey(folder, partNumber, digest.md5, digest.checksum));
  const small = await gathered(body, 0);
  // HTTP's own clients always tell it: the gateway refuses a part without.
  if (!small && body.lengthBytes === undefined) throw invalid("a part's length must be told before it is sent");
  let whole: Whole | undefined;
  let response: UpstreamResponse;
  if (small) {
    whole = await wholeOf(body, small.length);
    const headers = { "content-md5": Buffer.from(whole.digest.md5, "hex").toString("base64") };
    [response] = await Promise.all([place.client.send(ctx, { ...target, headers, body: small }), note(whole)]);
  } else {
    const chunks = heldBack(ctx, body, MAX_PART_BYTES, async (known) => {
      whole = known;
      await note(known);
      step("object-part/stored");
    });
    const streamed: UpstreamBody = { lengthBytes: body.lengthBytes ?? 0, chunks };
    response = await place.client.send(ctx, { ...target, body: streamed });
  }
  const answer = await textOf(response);
  if (response.status === 404) throw noSuchUpload();
  if (response.status !== 200) throw failureOfAnswer(target, response.status, answer);
  if (!whole) throw new StorageError("internal", "the upstream took the part before its end");
  step("object-part/committed");
  if (unquoted(response.headers.etag) !== whole.digest.md5)
    throw refused("busy", "the upstream stored other bytes than were sent; send the part again");
  return partOf(partNumber, whole, response);
}

function partOf(number: number, { sizeBytes, digest }: Whole, { headers }: UpstreamResponse): ObjectPart {
  const lastModifiedMs = timeOf(headers.date) || wholeSeconds(Date.now());
  return { number, sizeBytes, etag: digest.md5, lastModifiedMs, checksum: digest.checksum };
}

export async function copyPart(place: Place, ctx: Context, request: CopyPart): Promise<ObjectPart> {
  const { key, uploadId, partNumber, offsetBytes, lengthBytes, digest } = request;
  const bucket = await place.book.known(ctx, request.bucket);
  checkKey(key);
  await uploadNote(place, ctx, request);
  checkPartNumber(partNumber);
  if (lengthBytes > MAX_PART_BYTES) throw refused("object-too-large", `a part has at most ${MAX_PART_BYTES} bytes`);
  const source = await findSource(place, ctx, request.source);
  const { sizeBytes } = source.found.version;
  if (offsetBytes < 0 || lengthBytes < 0 || offsetBytes + lengthBytes > sizeBytes)
    throw invalid(`bytes ${offsetBytes} to ${offsetBytes + lengthBytes} of an object of ${sizeBytes} bytes`);
  if (lengthBytes === 0 || !isPlainSource(source)) {
    const body = await sourceBody(place, ctx, source, offsetBytes, lengthBytes, digest);
    try {
      return await putPart(place, ctx, { bucket: bucket.name, key, uploadId, partNumber, body });
    } finally {
      body.close();
    }
  }
  await place.book.checkQuota(ctx, bucket, { objects: 0, bytes: lengthBytes });
  const range = `bytes=${offsetBytes}-${offsetBytes + lengthBytes - 1}`;
  const headers = { ...sourceHeaders(place, source), "x-amz-copy-source-range": range };
  const query = { partNumber: String(partNumber), uploadId };
  const target = { method: "PUT", bucket: upstreamName(place, bucket.name), key, query, headers } as const;
  const folder = uploadFolder(bucket.name, uploadId);
  await place.notes.mark(ctx, partNoteKey(folder, partNumber, digest.md5, digest.checksum));
  const response = await place.client.send(ctx, target);
  const answer = await textOf(response);
  checkCopied(target, response, answer);
  if (copiedEtag(answer, "CopyPartResult") !== digest.md5)
    throw refused("conflict", "the source has changed since it was looked at; try again");
  return partOf(partNumber, { sizeBytes: lengthBytes, digest }, response);
}

export async function listParts(
  place: Place,
  ctx: Context,
  ref: UploadRef,
  after: number,
  limit: number,
): Promise<{ parts: ObjectPart[]; truncated: boolean }> {
  const bucket = await place.book.known(ctx, ref.bucket);
  checkKey(ref.key);
  if (!isUploadId(ref.uploadId)) throw noSuchUpload();
  return listedParts(place, ctx, bucket, ref, after, limit);
}

export async function abortUpload(place: Place, ctx: Context, ref: UploadRef): Promise<void> {
  const bucket = await place.book.known(ctx, ref.bucket);
  checkKey(ref.key);
  if (!isUploadId(ref.uploadId)) throw noSuchUpload();
  // Not while it is completed.
  await place.leases.holding(ctx, bucket.name, `upload ${ref.uploadId}`, async () => {
    const target = { bucket: upstreamName(place, bucket.name), key: ref.key, query: { uploadId: ref.uploadId } };
    await place.client.run(ctx, { method: "DELETE", ...target }, 200, 204);
  });
  await forgetUpload(place, ctx, bucket, ref.uploadId, "all");
}

/** Removes what is noted of an upload. What fails here is found later by scrub. */
export async function forgetUpload(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  uploadId: string,
  what: "all" | "all but that it was completed",
): Promise<void> {
  setMaxListeners(0, ctx.signal);
  try {
    const folder = uploadFolder(bucket.name, uploadId);
    const kept = what === "all" ? undefined : `${folder}completed`;
    await place.notes.removeAll(ctx, folder, kept);
  } catch (error) {
    ctx.log.warn(
      { err: error, bucket: bucket.name, uploadId },
      "notes of an upload that is over are left; scrub will remove them",
    );
  }
}
