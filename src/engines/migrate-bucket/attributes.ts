import { isDeepStrictEqual } from "node:util";
import { refused, StorageError } from "../../errors/storage-error.js";
import type { ObjectAttributes, ObjectVersion, Pairs, VersionSummary } from "../../model/object.js";
import type { VersionChange } from "../object-engine.js";
import type { Context } from "../types.js";
import type { Copying } from "./copy-version.js";

const sorted = (pairs: Pairs) =>
  [...pairs].map(([name, value]) => [name, value] as const).sort(([a], [b]) => (a < b ? -1 : 1));

/** What of a version may change after it was written, where the two differ. */
function changes(source: ObjectAttributes, target: ObjectAttributes): VersionChange {
  const change: VersionChange = {};
  if (!isDeepStrictEqual(sorted(source.tags), sorted(target.tags))) change.tags = source.tags;
  if (source.acl !== target.acl) change.acl = source.acl;
  if (source.legalHold !== target.legalHold && source.legalHold !== null) change.legalHold = source.legalHold;
  if (!isDeepStrictEqual(source.retention, target.retention)) change.retention = source.retention;
  return change;
}

/** What no change can make equal again, by its name. */
function lasting(source: ObjectVersion, target: ObjectVersion): string | undefined {
  const [a, b] = [source.attributes, target.attributes];
  if (source.etag !== target.etag) return "ETag";
  if (source.sizeBytes !== target.sizeBytes) return "size";
  if (!isDeepStrictEqual(source.checksum, target.checksum)) return "checksum";
  if (source.partsCount !== target.partsCount && source.partsCount > 0) return "number of parts";
  if (a.contentType !== b.contentType) return "content type";
  if (!isDeepStrictEqual(sorted(a.system), sorted(b.system))) return "system metadata";
  if (!isDeepStrictEqual(sorted(a.user), sorted(b.user))) return "user metadata";
  if (a.ownerId !== b.ownerId) return "owner";
  return undefined;
}

function ifGone(error: unknown): undefined {
  if (error instanceof StorageError && (error.reason === "no-such-key" || error.reason === "no-such-version")) return;
  throw error;
}

/**
 * Compares all that both engines know of a version, and takes over what was changed in the source since it was copied.
 * Answers whether anything was.
 *
 * @throws StorageError damaged, naming what differs and cannot be changed
 */
export async function verifyVersion(
  ctx: Context,
  { from, to, bucket }: Copying,
  source: VersionSummary,
  target: VersionSummary,
): Promise<boolean> {
  if (source.deleteMarker) return false;
  const { key } = source;
  const here = await from.head(ctx, { bucket, key, versionId: source.versionId }).catch(ifGone);
  // Removed or replaced since the listing: the next pass sees it.
  if (here === undefined || here.generation !== source.generation) return true;
  const there = await to.head(ctx, { bucket, key, versionId: target.versionId });
  const wrong = lasting(here, there);
  if (wrong !== undefined)
    throw refused("damaged", `${bucket}/${key}, version ${source.versionId}: its copy has another ${wrong}`);
  const change = changes(here.attributes, there.attributes);
  if (Object.keys(change).length === 0) return false;
  await to.changeVersion(ctx, { bucket, key, versionId: target.versionId }, { ...change, bypassGovernance: true });
  return true;
}
