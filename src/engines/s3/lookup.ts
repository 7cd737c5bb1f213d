import type { IncomingHttpHeaders } from "node:http";
import { invalid, refused, type StorageErrorOptions } from "../../errors/storage-error.js";
import type { Bucket } from "../../model/bucket.js";
import { NULL_VERSION, type ObjectAttributes, type ObjectVersion, type Pairs } from "../../model/object.js";
import type { WritePreconditions } from "../object-engine.js";
import type { Context } from "../types.js";
import { bytesOf } from "./client.js";
import { failureOfAnswer } from "./failures.js";
import { headerOf, timeOf, unquoted } from "./headers.js";
import { readVersionNote } from "./notes.js";
import { checkKey, type Place, upstreamName } from "./place.js";
import { RECORD_HEADER, readHeader, type VersionRecord } from "./record.js";
import { versionEntries } from "./version-entries.js";

/** A version as it is upstream, with what we say of it. */
export interface Found {
  readonly version: ObjectVersion;
  readonly record: VersionRecord;
  /** Of the bytes as the upstream knows them: what its conditions compare. */
  readonly upstreamEtag: string;
  readonly upstreamModifiedMs: number;
  /** The state of the note that has the record; undefined where the header has it. */
  readonly noteEtag: string | undefined;
}

export type Marker = NonNullable<StorageErrorOptions["deleteMarker"]>;

/** What a key has now: an object, or a delete marker that hides it, or nothing. */
export interface Current {
  readonly found: Found | undefined;
  readonly marker: Marker | undefined;
}

const VERSION_ID = /^[A-Za-z0-9._-]{16,1024}$/;

export const isVersionId = (text: string): boolean => text === NULL_VERSION || VERSION_ID.test(text);

/** @throws invalid-argument for what was never a version id */
export function checkVersionId(versionId: string | undefined): void {
  if (versionId !== undefined && !isVersionId(versionId)) throw invalid("Invalid version id specified");
}

/** By what listings say too: no two versions of a key have the same. Where there are no ids, the bytes of one second. */
export const listedGeneration = (versionId: string, etag: string, modifiedMs: number): string =>
  `${versionId}:${etag}:${Math.floor(modifiedMs / 1000)}`;

/** Whether a version is the one that a caller looked at: by its own generation, or by what a listing said of it. */
export function isGeneration(asked: string, { version, upstreamEtag, upstreamModifiedMs }: Found): boolean {
  if (asked === version.generation) return true;
  return asked === listedGeneration(version.versionId, upstreamEtag, upstreamModifiedMs);
}

/** The version that an answer of GET or HEAD speaks of. `sizeBytes`: of the whole object. */
export async function foundIn(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  key: string,
  headers: IncomingHttpHeaders,
  sizeBytes: number,
): Promise<Found> {
  const versionId =
    bucket.versioning === "off" ? NULL_VERSION : (headerOf(headers, "x-amz-version-id") ?? NULL_VERSION);
  const upstreamEtag = unquoted(headers.etag);
  const upstreamModifiedMs = timeOf(headers["last-modified"]);
  // Of one that is none of ours. Without its time, which a change of its tags changes.
  const others = `${versionId}:${upstreamEtag}`;
  const { record, noteEtag } = await recordIn(place, ctx, bucket, key, headers, others);
  const lastModifiedMs = record.modifiedMs ?? upstreamModifiedMs;
  const version: ObjectVersion = {
    ...{ key, versionId, isLatest: true, deleteMarker: false, lastModifiedMs },
    ...{ etag: record.etag ?? upstreamEtag, sizeBytes, checksum: record.checksum, generation: record.generation },
    ...{ storageClass: record.attributes.storageClass, ownerId: record.attributes.ownerId },
    ...{ attributes: record.attributes, partsCount: record.partsCount },
  };
  return { version, record, upstreamEtag, upstreamModifiedMs, noteEtag };
}

async function recordIn(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  key: string,
  headers: IncomingHttpHeaders,
  others: string,
): Promise<{ record: VersionRecord; noteEtag: string | undefined }> {
  const inHeader = readHeader(headerOf(headers, RECORD_HEADER));
  const generation =
    inHeader === undefined ? others : "record" in inHeader ? inHeader.record.generation : inHeader.noteOf;
  const own = inHeader && "record" in inHeader ? inHeader.record : undefined;
  // A tag upstream is never one of the object's own tags: it says that the record was changed, and lies in a note now.
  const changed = headerOf(headers, "x-amz-tagging-count") !== undefined;
  if (own && !changed) return { record: own, noteEtag: undefined };
  if (inHeader === undefined && !changed) return { record: foreign(bucket, headers, others), noteEtag: undefined };
  const note = await readVersionNote(place.notes, ctx, bucket.name, key, generation);
  if (note) return { record: note.value, noteEtag: note.etag };
  if (own) return { record: own, noteEtag: undefined };
  if (inHeader === undefined) return { record: foreign(bucket, headers, others), noteEtag: undefined };
  throw refused("damaged", "the object's record is not there: see the log, and scrub");
}

/** Of an object that was put there by another way: what the upstream says of it. */
function foreign(bucket: Bucket, headers: IncomingHttpHeaders, generation: string): VersionRecord {
  const system: [string, string][] = [];
  for (const name of ["cache-control", "content-disposition", "content-encoding", "content-language", "expires"]) {
    const value = headerOf(headers, name);
    if (value !== undefined) system.push([name, value]);
  }
  const user: Pairs = Object.entries(headers).flatMap(([name, value]) =>
    name.startsWith("x-amz-meta-") && typeof value === "string" ? [[name.slice("x-amz-meta-".length), value]] : [],
  );
  const attributes: ObjectAttributes = {
    ...{ contentType: headers["content-type"] ?? "binary/octet-stream", system, user, storageClass: "STANDARD" },
    ...{ tags: [], acl: null, ownerId: bucket.ownerId, retention: null, legalHold: null },
  };
  const parts = /-(\d+)$/.exec(unquoted(headers.etag));
  return { generation, etag: null, checksum: null, partsCount: parts ? Number(parts[1]) : 0, attributes };
}

/** Undefined where there is no such version, or it is a delete marker. */
export async function findVersion(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  key: string,
  versionId: string | undefined,
): Promise<Found | undefined> {
  checkKey(key);
  checkVersionId(versionId);
  // Where there are no versions the null version is all there is.
  if (bucket.versioning === "off" && versionId !== undefined && versionId !== NULL_VERSION) return undefined;
  const query = bucket.versioning === "off" || versionId === undefined ? {} : { versionId };
  const request = { method: "HEAD", bucket: upstreamName(place, bucket.name), key, query } as const;
  const response = await place.client.send(ctx, request);
  await bytesOf(response);
  const { status, headers } = response;
  if (status === 200) return foundIn(place, ctx, bucket, key, headers, Number(headers["content-length"] ?? 0));
  if (status === 404 || status === 405 || (status === 400 && versionId !== undefined)) return undefined;
  throw failureOfAnswer(request, status, "");
}

/** The delete marker of this id, or without an id the one that hides the key. */
export async function findMarker(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  key: string,
  versionId: string | undefined,
): Promise<Marker | undefined> {
  if (bucket.versioning === "off") return undefined;
  for await (const entry of versionEntries(place, ctx, bucket.name, key)) {
    // The newest is the first.
    if (versionId !== undefined && entry.versionId !== versionId) continue;
    return entry.deleteMarker ? { versionId: entry.versionId, lastModifiedMs: entry.lastModifiedMs } : undefined;
  }
  return undefined;
}

export async function currentOf(place: Place, ctx: Context, bucket: Bucket, key: string): Promise<Current> {
  const found = await findVersion(place, ctx, bucket, key, undefined);
  return { found, marker: found ? undefined : await findMarker(place, ctx, bucket, key, undefined) };
}

/** @throws no-such-key, no-such-version, delete-marker: why a version was not found */
export async function notFound(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  key: string,
  versionId: string | undefined,
): Promise<never> {
  const deleteMarker = await findMarker(place, ctx, bucket, key, versionId);
  if (versionId === undefined) throw missing(deleteMarker);
  if (deleteMarker) throw refused("delete-marker", "the version is a delete marker", { deleteMarker });
  throw refused("no-such-version", `the key has no version ${JSON.stringify(versionId)}`);
}

export const missing = (deleteMarker: Marker | undefined) =>
  refused("no-such-key", "the key is not there", deleteMarker ? { deleteMarker } : {});

export const isConditional = (preconditions: WritePreconditions): boolean =>
  Object.values(preconditions).some((value) => value !== undefined);

/**
 * S3, "Conditional requests": If-Match asks for a current object of that ETag, If-None-Match for none of it.
 *
 * @throws no-such-key, precondition-failed, conflict
 */
export function checkPreconditions(preconditions: WritePreconditions, { found, marker }: Current): void {
  const { ifMatch, ifNoneMatch, ifMatchLastModifiedMs, ifMatchSizeBytes, generation } = preconditions;
  if (generation !== undefined && !(found ? isGeneration(generation, found) : isMarkersGeneration(generation, marker)))
    throw refused("conflict", "the object has changed since it was looked at; try again");
  const version = found?.version;
  if (ifNoneMatch !== undefined && version && (ifNoneMatch === "*" || ifNoneMatch === version.etag))
    throw refused("precondition-failed", "If-None-Match does not hold: the object is there");
  const asksForOne = ifMatch !== undefined || ifMatchLastModifiedMs !== undefined || ifMatchSizeBytes !== undefined;
  if (!asksForOne) return;
  if (!version) throw missing(marker);
  if (ifMatch !== undefined && ifMatch !== "*" && ifMatch !== version.etag)
    throw refused("precondition-failed", "If-Match does not hold: the object has another ETag");
  // HTTP dates have no fractions.
  if (ifMatchLastModifiedMs !== undefined && seconds(ifMatchLastModifiedMs) !== seconds(version.lastModifiedMs))
    throw refused("precondition-failed", "the object was last modified at another time");
  if (ifMatchSizeBytes !== undefined && ifMatchSizeBytes !== version.sizeBytes)
    throw refused("precondition-failed", "the object has another size");
}

const seconds = (ms: number) => Math.floor(ms / 1000);

const isMarkersGeneration = (asked: string, marker: Marker | undefined): boolean =>
  marker !== undefined && asked === listedGeneration(marker.versionId, "", marker.lastModifiedMs);
