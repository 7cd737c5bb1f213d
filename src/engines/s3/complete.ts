import { createHash } from "node:crypto";
import { refused, StorageError } from "../../errors/storage-error.js";
import type { Bucket } from "../../model/bucket.js";
import { MAX_OBJECT_BYTES, MAX_PARTS, type ObjectPart, type ObjectVersion } from "../../model/object.js";
import { step } from "../../runtime/steps.js";
import { chosenParts } from "../chosen-parts.js";
import type { CompleteUpload, UploadRef } from "../object-engine.js";
import type { Context } from "../types.js";
import { textOf } from "./client.js";
import { failureOfAnswer } from "./failures.js";
import { findVersion } from "./lookup.js";
import { partsKey, removeNotes, uploadFolder } from "./notes.js";
import { listedParts } from "./part-entries.js";
import { checkKey, type Place, upstreamName } from "./place.js";
import { Guard, writeNote } from "./put.js";
import type { VersionRecord } from "./record.js";
import { forgetUpload, isUploadId, type UploadNote, uploadNote } from "./uploads.js";
import { versionEntries } from "./version-entries.js";

/** What is kept of an upload that was completed, for a client that lost the answer and asks again. */
export interface CompletedNote {
  readonly atMs: number;
  readonly key: string;
  readonly fingerprint: string;
  readonly versionId: string;
  readonly version: ObjectVersion;
}

const completedKey = (bucket: string, uploadId: string): string => `${uploadFolder(bucket, uploadId)}completed`;

const fingerprintOf = (parts: CompleteUpload["parts"]): string =>
  createHash("sha256").update(JSON.stringify(parts)).digest("hex");

/** In this order, so that a gateway that dies leaves an upload that can be completed again: notes of the version, the completion, notes of the upload. */
export async function completeUpload(place: Place, ctx: Context, request: CompleteUpload): Promise<ObjectVersion> {
  const bucket = await place.book.known(ctx, request.bucket);
  const { key, uploadId } = request;
  checkKey(key);
  if (!isUploadId(uploadId)) throw refused("no-such-upload", "the upload is not there");
  // One of those that complete or abort it at once.
  return place.leases.holding(ctx, bucket.name, `upload ${uploadId}`, async () => {
    let note: UploadNote;
    let parts: ObjectPart[];
    try {
      note = await uploadNote(place, ctx, request);
      parts = await allParts(place, ctx, bucket, request);
    } catch (error) {
      if (!(error instanceof StorageError) || error.reason !== "no-such-upload") throw error;
      return completedBefore(place, ctx, bucket, request);
    }
    const byNumber = new Map(parts.map((part) => [part.number, part]));
    const chosen = chosenParts(request.parts, (number) => byNumber.get(number));
    return complete(place, ctx, bucket, request, note, { chosen, stored: parts });
  });
}

async function allParts(place: Place, ctx: Context, bucket: Bucket, ref: UploadRef): Promise<ObjectPart[]> {
  return (await listedParts(place, ctx, bucket, ref, 0, MAX_PARTS)).parts;
}

/**
 * Ceph completes an upload with all of its parts or not at all, and S3 has no way to take a part away.
 *
 * @throws invalid-part naming those that are left
 */
function checkAllNamed(stored: readonly ObjectPart[], chosen: readonly ObjectPart[]): void {
  if (stored.length === chosen.length) return;
  const named = new Set(chosen.map(({ number }) => number));
  const left = stored.filter(({ number }) => !named.has(number)).map(({ number }) => number);
  throw refused(
    "invalid-part",
    `the upstream completes an upload with all of its parts alone: ${left.slice(0, 20).join(", ")} are not named`,
  );
}

async function complete(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  request: CompleteUpload,
  { upload, generation }: UploadNote,
  { chosen: parts, stored }: { chosen: readonly ObjectPart[]; stored: readonly ObjectPart[] },
): Promise<ObjectVersion> {
  const { key, uploadId } = request;
  const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
  if (sizeBytes > MAX_OBJECT_BYTES)
    throw refused("object-too-large", `an object has at most ${MAX_OBJECT_BYTES} bytes`);
  const { etag, checksum, retention } = request.digest(parts, upload);
  await place.book.checkQuota(ctx, bucket, { objects: 1, bytes: 0 });
  const attributes = retention ? { ...upload.attributes, retention } : upload.attributes;
  const record: VersionRecord = { generation, etag, checksum, partsCount: parts.length, attributes };
  const guard = new Guard(place, ctx, bucket, key, request.preconditions);
  try {
    await guard.enter();
    checkAllNamed(stored, parts);
    await place.notes.write(ctx, partsKey(bucket.name, key, generation), parts, "any");
    await writeNote(place, ctx, bucket, key, record);
    step("object-complete/prepared");
    await sendCompletion(place, ctx, bucket, request);
    step("object-complete/committed");
  } catch (error) {
    // Of what was refused; where it is not known what came of it, the notes may be needed.
    if (error instanceof StorageError && error.code !== "unavailable" && error.reason !== "no-such-upload")
      await removeNotes(place.notes, ctx, bucket.name, key, generation, parts.length);
    throw error;
  } finally {
    await guard.leave();
  }
  const version = await versionOf(place, ctx, bucket, key, generation);
  if (!version) throw refused("conflict", "the object was replaced or deleted in the moment of its completion");
  await remember(place, ctx, bucket, request, version);
  await forgetUpload(place, ctx, bucket, uploadId, "all but that it was completed");
  return version;
}

export async function sendCompletion(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  request: { key: string; uploadId: string; parts: readonly { number: number; etag: string }[] },
): Promise<void> {
  const rows = request.parts.map(
    ({ number, etag }) => `<Part><PartNumber>${number}</PartNumber><ETag>&quot;${etag}&quot;</ETag></Part>`,
  );
  const body = Buffer.from(`<CompleteMultipartUpload>${rows.join("")}</CompleteMultipartUpload>`);
  const target = {
    ...({ method: "POST", bucket: upstreamName(place, bucket.name), key: request.key } as const),
    ...{ query: { uploadId: request.uploadId }, headers: { "content-type": "application/xml" }, body },
  };
  const response = await place.client.send(ctx, target);
  const answer = await textOf(response);
  if (response.status !== 200) throw failureOfAnswer(target, response.status, answer);
  // API reference, CompleteMultipartUpload: it may begin to answer 200 before it has failed.
  if (answer.includes("<Error>")) throw failureOfAnswer(target, 500, answer);
}

/** The version that an upload became. Its answer may tell neither ETag nor version (Ceph 16), so it is looked for. */
export async function versionOf(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  key: string,
  generation: string,
): Promise<ObjectVersion | undefined> {
  const current = await findVersion(place, ctx, bucket, key, undefined);
  if (current?.version.generation === generation) return current.version;
  if (bucket.versioning === "off") return undefined;
  for await (const { versionId, deleteMarker } of versionEntries(place, ctx, bucket.name, key)) {
    if (deleteMarker) continue;
    const found = await findVersion(place, ctx, bucket, key, versionId);
    if (found?.version.generation === generation) return { ...found.version, isLatest: false };
  }
  return undefined;
}

async function remember(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  { key, uploadId, parts }: CompleteUpload,
  version: ObjectVersion,
): Promise<void> {
  const note: CompletedNote = {
    ...{ atMs: Date.now(), key, fingerprint: fingerprintOf(parts), versionId: version.versionId, version },
  };
  await place.notes.write(ctx, completedKey(bucket.name, uploadId), note, "any");
}

/** @throws no-such-upload unless these very parts completed it */
async function completedBefore(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  request: CompleteUpload,
): Promise<ObjectVersion> {
  const { key, uploadId } = request;
  const note = await place.notes.read<CompletedNote>(ctx, completedKey(bucket.name, uploadId));
  if (note?.value.key === key && note.value.fingerprint === fingerprintOf(request.parts)) return note.value.version;
  const unfinished = note ? undefined : await completedByTheDead(place, ctx, bucket, request);
  if (unfinished) return unfinished;
  throw refused("no-such-upload", "the upload is not there: it may have been completed or aborted");
}

/** The upstream has completed it, and its gateway did not come to note that. */
async function completedByTheDead(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  request: CompleteUpload,
): Promise<ObjectVersion | undefined> {
  let note: UploadNote;
  try {
    note = await uploadNote(place, ctx, request);
  } catch (error) {
    if (error instanceof StorageError && error.reason === "no-such-upload") return undefined;
    throw error;
  }
  const version = await versionOf(place, ctx, bucket, request.key, note.generation);
  if (!version || version.partsCount !== request.parts.length) return undefined;
  await remember(place, ctx, bucket, request, version);
  await forgetUpload(place, ctx, bucket, request.uploadId, "all but that it was completed");
  return version;
}
