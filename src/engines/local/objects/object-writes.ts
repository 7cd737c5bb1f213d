import { StorageError } from "../../../errors/storage-error.js";
import { MAX_PUT_BYTES, NULL_VERSION, type ObjectVersion } from "../../../model/object.js";
import { step } from "../../../runtime/steps.js";
import type {
  CopyObject,
  DeleteObject,
  DeleteOutcome,
  PutObject,
  RenameObject,
  VersionChange,
  VersionRef,
} from "../../object-engine.js";
import type { Context } from "../../types.js";
import { type Access, fateOf } from "./access.js";
import { checkLength } from "./ingest.js";
import { idText, objectKey } from "./keys.js";
import { type Decided, fromRefusal, type Refusal } from "./protocol.js";
import { checkEarly, findSource, type MetadataReader, versionOf } from "./reader.js";
import { encodeRecord, generationText, type NewRecord } from "./records.js";

export async function put(access: Access, ctx: Context, request: PutObject): Promise<ObjectVersion> {
  const { reader, client, ingest } = access;
  const { key, body, attributes, preconditions } = request;
  reader.refresh();
  const known = reader.existingBucket(request.bucket);
  const tableKey = objectKey(known.id, key);
  checkLength(body, MAX_PUT_BYTES);
  checkEarly(reader, known, body.lengthBytes ?? 0);
  const { bucket } = known;
  const taken = await ingest.take(ctx, body, MAX_PUT_BYTES, bucket.durability === "relaxed");
  const { md5: etag, checksum } = taken.digest;
  const stored = { etag, checksum, sizeBytes: taken.sizeBytes, partsCount: 0, attributes, body: taken.body };
  const record = encodeRecord(stored, bucket.ownerId);
  const message = { key: tableKey, record, inline: taken.inline, preconditions };
  step("object-put/stored");
  const decided = await client.call("put", message, ctx, fateOf(access, taken.body));
  step("object-put/committed");
  return versionMade(key, stored, decided);
}

/** The version that a commit made, without reading it again. */
export function versionMade(key: string, record: NewRecord, decided: Decided): ObjectVersion {
  const { attributes } = record;
  return {
    key,
    versionId: versionIdMade(decided),
    isLatest: true,
    deleteMarker: false,
    lastModifiedMs: decided.modifiedMs,
    etag: record.etag,
    sizeBytes: record.sizeBytes,
    storageClass: attributes.storageClass,
    ownerId: attributes.ownerId,
    checksum: record.checksum,
    generation: generationText(decided.sequence),
    attributes,
    partsCount: record.partsCount,
  };
}

function versionIdMade({ sequence, random }: Decided): string {
  return random ? idText(sequence, random) : NULL_VERSION;
}

export async function deleteMany(
  access: Access,
  ctx: Context,
  requests: readonly DeleteObject[],
): Promise<(DeleteOutcome | StorageError)[]> {
  const { reader, client } = access;
  reader.refresh();
  const outcomes: (DeleteOutcome | StorageError | undefined)[] = requests.map(() => undefined);
  const messages = requests.flatMap((request, at) => {
    try {
      return [{ at, message: deletion(reader, request) }];
    } catch (error) {
      if (!(error instanceof StorageError) || error.reason === "no-such-bucket") throw error;
      outcomes[at] = error;
      return [];
    }
  });
  const replies =
    messages.length === 0
      ? []
      : await client.call(
          "delete",
          messages.map(({ message }) => message),
          ctx,
        );
  for (const [i, { at }] of messages.entries()) outcomes[at] = outcomeOf(replies[i] as DeleteOutcome | Refusal);
  return outcomes as (DeleteOutcome | StorageError)[];
}

function deletion(reader: MetadataReader, request: DeleteObject) {
  const { bucket, key, versionId, preconditions, bypassGovernance } = request;
  const tableKey = objectKey(reader.existingBucket(bucket).id, key);
  return { key: tableKey, versionId: versionId ?? "", preconditions, bypassGovernance };
}

const outcomeOf = (reply: DeleteOutcome | Refusal): DeleteOutcome | StorageError =>
  "code" in reply ? fromRefusal(reply) : reply;

export async function deleteOne(access: Access, ctx: Context, request: DeleteObject): Promise<DeleteOutcome> {
  const { reader, client } = access;
  reader.refresh();
  const [reply] = await client.call("delete", [deletion(reader, request)], ctx);
  step("object-delete/committed");
  const outcome = outcomeOf(reply as DeleteOutcome | Refusal);
  if (outcome instanceof StorageError) throw outcome;
  return outcome;
}

export async function copy(access: Access, ctx: Context, request: CopyObject): Promise<ObjectVersion> {
  const { reader, client } = access;
  const { key, attributes, preconditions, digest } = request;
  reader.refresh();
  const known = reader.existingBucket(request.bucket);
  const tableKey = objectKey(known.id, key);
  const { version, body, message: source } = findSource(reader, request.source);
  checkEarly(reader, known, version.sizeBytes);
  const stored = {
    etag: digest?.md5 ?? version.etag,
    checksum: digest?.checksum ?? version.checksum,
    sizeBytes: version.sizeBytes,
    // With a digest of its own it is an object of one piece, wherever its bytes lie.
    partsCount: digest ? 0 : version.partsCount,
    attributes,
    body,
  };
  const record = encodeRecord(stored, known.bucket.ownerId);
  const message = { key: tableKey, record, inline: null, preconditions, source };
  const decided = await client.call("copy", message, ctx);
  step("object-copy/committed");
  return versionMade(key, stored, decided);
}

export async function rename(access: Access, ctx: Context, request: RenameObject): Promise<void> {
  const { reader, client } = access;
  const { from, to, fromPreconditions, toPreconditions } = request;
  reader.refresh();
  const { id } = reader.existingBucket(request.bucket);
  const keys = { from: objectKey(id, from), to: objectKey(id, to) };
  await client.call("rename", { ...keys, fromPreconditions, toPreconditions }, ctx);
}

export async function changeVersion(
  access: Access,
  ctx: Context,
  ref: VersionRef,
  change: VersionChange,
): Promise<ObjectVersion> {
  const { reader, client } = access;
  const { key, versionId = "" } = ref;
  reader.refresh();
  const known = reader.existingBucket(ref.bucket);
  const message = { key: objectKey(known.id, key), versionId, change };
  const { record, isLatest } = await client.call("changeVersion", message, ctx);
  return versionOf({ known, record, isLatest }, key);
}
