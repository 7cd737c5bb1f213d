import { refused } from "../../errors/storage-error.js";
import type { Bucket } from "../../model/bucket.js";
import type { ObjectVersion } from "../../model/object.js";
import type { VersionChange, VersionRef } from "../object-engine.js";
import type { Context } from "../types.js";
import { checkRetentionChange } from "./deletes.js";
import { type Found, findVersion, isGeneration, notFound } from "./lookup.js";
import { isConflict, noteKey, versionNote } from "./notes.js";
import { checkKey, type Place, upstreamName } from "./place.js";
import type { VersionRecord } from "./record.js";

const ATTEMPTS = 10;

/**
 * Changes what is said of a version without its bytes. Its record goes into a note, if it is not in one, and a tag upstream
 * says so: a tag is the one thing of a version that S3 changes in place, and every answer tells how many there are.
 */
export async function changeVersion(
  place: Place,
  ctx: Context,
  ref: VersionRef,
  change: VersionChange,
): Promise<ObjectVersion> {
  const bucket = await place.book.known(ctx, ref.bucket);
  checkKey(ref.key);
  if (!bucket.objectLock) return changed(place, ctx, bucket, ref, change);
  // Nobody removes the version meanwhile.
  return place.leases.holding(ctx, bucket.name, ref.key, () => changed(place, ctx, bucket, ref, change));
}

async function changed(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  { key, versionId }: VersionRef,
  change: VersionChange,
): Promise<ObjectVersion> {
  for (let attempt = 1; ; attempt++) {
    const found = await findVersion(place, ctx, bucket, key, versionId);
    if (!found) return notFound(place, ctx, bucket, key, versionId);
    if (change.generation !== undefined && !isGeneration(change.generation, found))
      throw refused("conflict", "the object has changed since it was looked at; try again");
    checkRetentionChange(found.record, change);
    const record = { ...changedRecord(found.record, change), modifiedMs: found.version.lastModifiedMs };
    try {
      await write(place, ctx, bucket, key, found, record);
      return { ...found.version, attributes: record.attributes };
    } catch (error) {
      // Another change came between: what both say holds, each on what it did not name.
      if (!isConflict(error)) throw error;
      if (attempt === ATTEMPTS) throw refused("busy", "the version is being changed by others; try again");
    }
  }
}

async function write(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  key: string,
  found: Found,
  record: VersionRecord,
): Promise<void> {
  const at = noteKey(bucket.name, key, record.generation);
  const note = versionNote(key, record);
  if (found.noteEtag !== undefined) {
    await place.notes.write(ctx, at, note, { etag: found.noteEtag });
    return;
  }
  // One that is there and is not told of is of a change that did not come to its end: it was answered to nobody.
  const left = await place.notes.read(ctx, at);
  await place.notes.write(ctx, at, note, left ? { etag: left.etag } : "new");
  const body = Buffer.from("<Tagging><TagSet><Tag><Key>granary</Key><Value>noted</Value></Tag></TagSet></Tagging>");
  const query = { tagging: "", ...(bucket.versioning === "off" ? {} : { versionId: found.version.versionId }) };
  const headers = { "content-type": "application/xml" };
  await place.client.run(
    ctx,
    { method: "PUT", bucket: upstreamName(place, bucket.name), key, query, headers, body },
    200,
    204,
  );
}

function changedRecord(record: VersionRecord, { tags, acl, legalHold, retention }: VersionChange): VersionRecord {
  return {
    ...record,
    attributes: {
      ...record.attributes,
      ...(tags === undefined ? {} : { tags }),
      ...(acl === undefined ? {} : { acl }),
      ...(legalHold === undefined ? {} : { legalHold }),
      ...(retention === undefined ? {} : { retention }),
    },
  };
}
