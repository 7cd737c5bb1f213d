import { refused } from "../../errors/storage-error.js";
import type { Bucket } from "../../model/bucket.js";
import type { ObjectVersion } from "../../model/object.js";
import type { VersionChange, VersionRef } from "../object-engine.js";
import type { Context } from "../types.js";
import { checkRetentionChange } from "./deletes.js";
import { type Found, findVersion, isGeneration, notFound } from "./lookup.js";
import { isConflict, noteKey, readVersionNote, versionNote } from "./notes.js";
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
    const base = await baseOf(place, ctx, bucket, key, found);
    checkRetentionChange(base.record, change);
    const modifiedMs = base.record.modifiedMs ?? found.version.lastModifiedMs;
    const record = { ...changedRecord(base.record, change), modifiedMs };
    try {
      const at = noteKey(bucket.name, key, record.generation);
      const condition = base.noteEtag === undefined ? "new" : { etag: base.noteEtag };
      await place.notes.write(ctx, at, versionNote(key, record), condition);
      if (found.noteEtag === undefined) await tell(place, ctx, bucket, key, found);
      return { ...found.version, attributes: record.attributes };
    } catch (error) {
      // Another change came between: what both say holds, each on what it did not name.
      if (!isConflict(error)) throw error;
      if (attempt === ATTEMPTS) throw refused("busy", "the version is being changed by others; try again");
    }
  }
}

/**
 * What a change is made on. A note that no tag tells of yet is another change's that is on its way, or whose gateway died:
 * it counts, as it may have been answered by the time this one is.
 */
async function baseOf(place: Place, ctx: Context, bucket: Bucket, key: string, { record, noteEtag }: Found) {
  if (noteEtag !== undefined) return { record, noteEtag };
  const note = await readVersionNote(place.notes, ctx, bucket.name, key, record.generation);
  return note ? { record: note.value, noteEtag: note.etag } : { record, noteEtag };
}

/** Has the version say that its record is in a note. */
async function tell(place: Place, ctx: Context, bucket: Bucket, key: string, { version }: Found): Promise<void> {
  const body = Buffer.from("<Tagging><TagSet><Tag><Key>granary</Key><Value>noted</Value></Tag></TagSet></Tagging>");
  const query = { tagging: "", ...(bucket.versioning === "off" ? {} : { versionId: version.versionId }) };
  const headers = { "content-type": "application/xml" };
  const target = { method: "PUT", bucket: upstreamName(place, bucket.name), key } as const;
  await place.client.run(ctx, { ...target, query, headers, body }, 200, 204);
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
