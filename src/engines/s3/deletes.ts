import { setMaxListeners } from "node:events";
import { refused, StorageError } from "../../errors/storage-error.js";
import type { Bucket } from "../../model/bucket.js";
import { NULL_VERSION, type Retention } from "../../model/object.js";
import { step } from "../../runtime/steps.js";
import type { DeleteObject, DeleteOutcome, VersionChange } from "../object-engine.js";
import type { Context } from "../types.js";
import { drain, type UpstreamResponse } from "./client.js";
import { headerOf } from "./headers.js";
import type { HeldLease } from "./leases.js";
import {
  type Current,
  checkPreconditions,
  checkVersionId,
  currentOf,
  type Found,
  findMarker,
  findVersion,
  isConditional,
} from "./lookup.js";
import { removeNotes } from "./notes.js";
import { checkKey, inTurns, type Place, upstreamName } from "./place.js";
import type { VersionRecord } from "./record.js";

const AT_ONCE = 32;

/** One key's in their order, and many keys at once. */
export async function deleteMany(
  place: Place,
  ctx: Context,
  requests: readonly DeleteObject[],
): Promise<(DeleteOutcome | StorageError)[]> {
  // One listener for each request upstream.
  setMaxListeners(0, ctx.signal);
  for (const name of new Set(requests.map(({ bucket }) => bucket))) await place.book.known(ctx, name);
  const byKey = new Map<string, number[]>();
  for (const [at, { bucket, key }] of requests.entries()) {
    const same = byKey.get(`${bucket}/${key}`);
    if (same) same.push(at);
    else byKey.set(`${bucket}/${key}`, [at]);
  }
  const outcomes: (DeleteOutcome | StorageError)[] = new Array(requests.length);
  await inTurns([...byKey.values()], AT_ONCE, async (places) => {
    for (const at of places) {
      try {
        outcomes[at] = await deleteOne(place, ctx, requests[at] as DeleteObject);
      } catch (error) {
        if (!(error instanceof StorageError)) throw error;
        outcomes[at] = error;
      }
    }
  });
  return outcomes;
}

export async function deleteOne(place: Place, ctx: Context, request: DeleteObject): Promise<DeleteOutcome> {
  const { key, versionId, preconditions } = request;
  const bucket = await place.book.known(ctx, request.bucket);
  checkKey(key);
  checkVersionId(versionId);
  const removes = versionId !== undefined || bucket.versioning === "off";
  // A lock that is set in the moment of the delete is seen, or comes too late.
  if (!isConditional(preconditions) && !(removes && bucket.objectLock)) return decide(place, ctx, bucket, request);
  return place.leases.holding(ctx, bucket.name, key, (lease) => decide(place, ctx, bucket, request, lease));
}

async function decide(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  request: DeleteObject,
  lease?: HeldLease,
): Promise<DeleteOutcome> {
  const { key, versionId, preconditions } = request;
  if (bucket.versioning === "off") {
    const none = versionId !== undefined && versionId !== NULL_VERSION;
    const found = none ? undefined : await findVersion(place, ctx, bucket, key, undefined);
    checkPreconditions(preconditions, { found, marker: undefined });
    if (found) await remove(place, ctx, bucket, request, found, lease);
    return { versionId: undefined, deleteMarker: false };
  }
  if (versionId === undefined) {
    if (isConditional(preconditions)) checkPreconditions(preconditions, await currentOf(place, ctx, bucket, key));
    lease?.check();
    const { headers } = await send(place, ctx, bucket, key, undefined);
    step("object-delete/committed");
    const made = bucket.versioning === "enabled" ? headerOf(headers, "x-amz-version-id") : NULL_VERSION;
    return { versionId: made ?? NULL_VERSION, deleteMarker: true };
  }
  const found = await findVersion(place, ctx, bucket, key, versionId);
  const marker = found ? undefined : await findMarker(place, ctx, bucket, key, versionId);
  checkPreconditions(preconditions, { found, marker });
  if (preconditions.noncurrent) checkNoncurrent(versionId, await currentOf(place, ctx, bucket, key));
  if (found) await remove(place, ctx, bucket, request, found, lease);
  else if (marker) await send(place, ctx, bucket, key, versionId);
  return { versionId, deleteMarker: marker !== undefined };
}

/** @throws conflict where the version is the current one */
function checkNoncurrent(versionId: string, { found, marker }: Current): void {
  if (versionId === (found?.version ?? marker)?.versionId)
    throw refused("conflict", "the version has become the current one");
}

async function remove(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  { key, bypassGovernance }: DeleteObject,
  found: Found,
  lease: HeldLease | undefined,
): Promise<void> {
  const { versionId, generation, partsCount } = found.version;
  if (bucket.objectLock) checkRemovable(found.record, bypassGovernance);
  lease?.check();
  await send(place, ctx, bucket, key, bucket.versioning === "off" ? undefined : versionId);
  step("object-delete/committed");
  if (found.noteEtag !== undefined || partsCount > 0)
    await removeNotes(place.notes, ctx, bucket.name, key, generation, partsCount);
}

async function send(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  key: string,
  versionId: string | undefined,
): Promise<UpstreamResponse> {
  const query = versionId === undefined ? {} : { versionId };
  const request = { method: "DELETE", bucket: upstreamName(place, bucket.name), key, query } as const;
  const response = await place.client.expect(ctx, request, 200, 204, 404);
  await drain(response);
  return response;
}

/**
 * S3 Object Lock: a version under legal hold or in retention is not removed. Governance gives way to who may and does
 * bypass it; compliance to nobody.
 *
 * @throws object-locked
 */
export function checkRemovable({ attributes }: VersionRecord, bypassGovernance: boolean): void {
  const { legalHold, retention } = attributes;
  if (legalHold) throw refused("object-locked", "the version is under legal hold");
  if (!isActive(retention)) return;
  if (retention.mode === "COMPLIANCE" || !bypassGovernance)
    throw refused("object-locked", `the version is in ${retention.mode} retention until ${iso(retention)}`);
}

/**
 * Retention may grow; compliance only that. Shortening, removing and changing the mode of governance needs its bypass.
 *
 * @throws object-locked
 */
export function checkRetentionChange({ attributes }: VersionRecord, change: VersionChange): void {
  const wanted = change.retention;
  const { retention } = attributes;
  if (wanted === undefined || !isActive(retention)) return;
  const grows = wanted !== null && wanted.mode === retention.mode && wanted.untilMs >= retention.untilMs;
  if (grows || (retention.mode === "GOVERNANCE" && change.bypassGovernance)) return;
  throw refused("object-locked", `the version is in ${retention.mode} retention until ${iso(retention)}`);
}

const isActive = (retention: Retention | null): retention is Retention =>
  retention !== null && retention.untilMs > Date.now();

const iso = ({ untilMs }: Retention) => new Date(untilMs).toISOString();
