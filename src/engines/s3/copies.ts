import { invalid, refused, StorageError } from "../../errors/storage-error.js";
import type { Bucket } from "../../model/bucket.js";
import type { ObjectVersion } from "../../model/object.js";
import { step } from "../../runtime/steps.js";
import type { BodyDigest, BodySource, CopyObject, RenameObject } from "../object-engine.js";
import type { Context } from "../types.js";
import { textOf, type UpstreamResponse, uriEscaped } from "./client.js";
import { deleteOne } from "./deletes.js";
import { failureOfAnswer } from "./failures.js";
import { unquoted } from "./headers.js";
import { checkPreconditions, currentOf, type Found, findVersion, isGeneration, missing } from "./lookup.js";
import { partsKey, readParts, removeNotes } from "./notes.js";
import { checkKey, type Place, upstreamName } from "./place.js";
import { Guard, put, recordHeaders, versionMade, writeNote } from "./put.js";
import { open } from "./reads.js";
import { newGeneration, recordHeader, type VersionRecord } from "./record.js";
import { parseAnswer, text } from "./xml.js";

export interface Source {
  readonly bucket: Bucket;
  readonly key: string;
  readonly found: Found;
}

/** What the gateway was allowed to read, if it is there still. @throws no-such-key, conflict */
export async function findSource(place: Place, ctx: Context, source: CopyObject["source"]): Promise<Source> {
  const bucket = await place.book.known(ctx, source.bucket);
  const found = await findVersion(place, ctx, bucket, source.key, source.versionId);
  if (!found) throw refused("no-such-key", "the source is not there any more");
  if (!isGeneration(source.generation, found))
    throw refused("conflict", "the source has changed since it was looked at; try again");
  return { bucket, key: source.key, found };
}

/**
 * Names the source to the upstream. Ceph 16 takes a percent-encoded source of a part for a mistake of its own and ends
 * itself, so a part's source that would have to be encoded is not named but sent (`isPlainSource`).
 */
export function sourceHeaders(place: Place, { bucket, key, found }: Source): Record<string, string> {
  const name = upstreamName(place, bucket.name);
  const versionId = bucket.versioning === "off" ? "" : `?versionId=${found.version.versionId}`;
  return {
    "x-amz-copy-source": `/${name}/${key.split("/").map(uriEscaped).join("/")}${versionId}`,
    "x-amz-copy-source-if-match": found.upstreamEtag,
    // Ceph 16 knows the condition by this name alone.
    "x-amz-copy-if-match": found.upstreamEtag,
  };
}

/** Nothing in it is encoded, so that encoded and not are the same. */
export const isPlainSource = ({ key }: Source): boolean => /^[A-Za-z0-9_.~/-]+$/.test(key);

export async function copy(place: Place, ctx: Context, request: CopyObject): Promise<ObjectVersion> {
  const { key, attributes, preconditions, digest } = request;
  const bucket = await place.book.known(ctx, request.bucket);
  checkKey(key);
  const source = await findSource(place, ctx, request.source);
  const { version, upstreamEtag } = source.found;
  // Its ETag is to be another than the upstream's of the same bytes: they are written anew.
  if (digest && digest.md5 !== upstreamEtag) return rewritten(place, ctx, request, source, digest);
  await place.book.checkQuota(ctx, bucket, { objects: 1, bytes: version.sizeBytes });
  await place.marks.before(ctx, bucket, attributes);
  const record: VersionRecord = {
    ...{ generation: newGeneration(), etag: version.etag === upstreamEtag ? null : version.etag, attributes },
    ...{ checksum: digest?.checksum ?? version.checksum, partsCount: digest ? 0 : version.partsCount },
  };
  const noted = await noteCopy(place, ctx, bucket, key, source, record);
  const guard = new Guard(place, ctx, bucket, key, preconditions);
  try {
    await guard.enter();
    const response = await sendCopy(place, ctx, bucket, key, source, record);
    step("object-copy/committed");
    return response;
  } catch (error) {
    if (noted) await removeNotes(place.notes, ctx, bucket.name, key, record.generation, record.partsCount);
    throw error;
  } finally {
    await guard.leave();
  }
}

async function noteCopy(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  key: string,
  source: Source,
  record: VersionRecord,
): Promise<boolean> {
  const { version } = source.found;
  if (record.partsCount > 0) {
    const parts = await readParts(place.notes, ctx, source.bucket.name, source.key, version.generation);
    await place.notes.write(ctx, partsKey(bucket.name, key, record.generation), parts, "any");
  }
  const inHeader = recordHeader(record) !== undefined;
  if (!inHeader) await writeNote(place, ctx, bucket, key, record);
  return !inHeader || record.partsCount > 0;
}

async function sendCopy(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  key: string,
  source: Source,
  record: VersionRecord,
): Promise<ObjectVersion> {
  const headers = {
    ...recordHeaders(record),
    ...sourceHeaders(place, source),
    ...{ "x-amz-metadata-directive": "REPLACE", "x-amz-tagging-directive": "REPLACE" },
  };
  const request = { method: "PUT", bucket: upstreamName(place, bucket.name), key, headers } as const;
  const response = await place.client.send(ctx, request);
  const answer = await textOf(response);
  checkCopied(request, response, answer);
  const { sizeBytes } = source.found.version;
  const made = versionMade(bucket, key, record, response, sizeBytes, source.found.upstreamEtag);
  const modified = Date.parse(text(parseAnswer(answer, "CopyObjectResult"), "LastModified"));
  return Number.isNaN(modified) ? made : { ...made, lastModifiedMs: Math.floor(modified / 1000) * 1000 };
}

/** @throws conflict where the source went meanwhile; an answer of 200 may be an error too (API reference, CopyObject) */
export function checkCopied(
  request: { readonly method: "PUT" },
  { status }: Pick<UpstreamResponse, "status">,
  answer: string,
): void {
  if (status === 412) throw refused("conflict", "the source has changed since it was looked at; try again");
  if (status === 404) throw refused("no-such-key", "the source is not there any more");
  if (status !== 200) throw failureOfAnswer(request, status, answer);
  if (answer.includes("<Error>")) throw failureOfAnswer(request, 500, answer);
}

/** The bytes pass through here, verified as they are read. */
async function rewritten(
  place: Place,
  ctx: Context,
  request: CopyObject,
  source: Source,
  digest: BodyDigest,
): Promise<ObjectVersion> {
  const { bucket, key, attributes, preconditions } = request;
  const { sizeBytes } = source.found.version;
  const body = await sourceBody(place, ctx, source, 0, sizeBytes, digest);
  try {
    return await put(place, ctx, { bucket, key, body, attributes, preconditions });
  } finally {
    body.close();
  }
}

export async function sourceBody(
  place: Place,
  ctx: Context,
  { bucket, key, found }: Source,
  offsetBytes: number,
  lengthBytes: number,
  digest: BodyDigest,
): Promise<BodySource & { close(): void }> {
  const { versionId, generation } = found.version;
  const opened = await open(place, ctx, { bucket: bucket.name, key, versionId });
  if (opened.version.generation !== generation) {
    opened.close();
    throw refused("conflict", "the source has changed since it was looked at; try again");
  }
  const bytes = lengthBytes === 0 ? Buffer.alloc(0) : opened.read(offsetBytes, lengthBytes);
  return { bytes, lengthBytes, finish: () => digest, close: () => opened.close() };
}

/**
 * A copy and then a delete, each of which is whole or not at all: a gateway that dies between them leaves the object under
 * both names. What the object says of itself stays, but for its time.
 */
export async function rename(place: Place, ctx: Context, request: RenameObject): Promise<void> {
  const { from, to, fromPreconditions, toPreconditions } = request;
  const bucket = await place.book.known(ctx, request.bucket);
  checkKey(from);
  checkKey(to);
  if (from === to) throw invalid("the object is to be renamed to the name that it has");
  const current = await currentOf(place, ctx, bucket, from);
  checkPreconditions(fromPreconditions, current);
  const version = current.found?.version;
  if (!version) throw missing(current.marker);
  const { versionId, generation, attributes } = version;
  const source = { bucket: bucket.name, key: from, versionId, generation };
  const target = { bucket: bucket.name, key: to, attributes, preconditions: toPreconditions };
  const made = await copy(place, ctx, { source, ...target });
  try {
    await deleteOne(place, ctx, {
      ...{ bucket: bucket.name, key: from, preconditions: { generation }, bypassGovernance: false },
    });
  } catch (error) {
    // It was overwritten meanwhile: what came is not ours to end, and the new name was not asked for with it.
    const undo = { bucket: bucket.name, key: to, versionId: made.versionId, bypassGovernance: false };
    await deleteOne(place, ctx, { ...undo, preconditions: { generation: made.generation } }).catch(() => undefined);
    throw error instanceof StorageError ? error : new StorageError("internal", "the rename failed", { cause: error });
  }
}

export const copiedEtag = (answer: string, root: string): string => unquoted(text(parseAnswer(answer, root), "ETag"));
