import { refused } from "../../errors/storage-error.js";
import type { Checksum, ChecksumAlgorithm, ObjectPart, ObjectVersion, VersionSummary } from "../../model/object.js";
import type { ObjectEngine, OpenObject } from "../object-engine.js";
import type { Context } from "../types.js";
import { verifiedBody } from "./verified-body.js";

export interface Copying {
  from: ObjectEngine;
  to: ObjectEngine;
  bucket: string;
  onBytes(bytes: number): void;
}

const PLAIN_MD5 = /^[0-9a-f]{32}$/;

/**
 * Writes one version of the source as the target's newest of its key: bytes, ETag, checksum, metadata, tags, ACL and
 * locks as they are. Its version id and its time are the target's own.
 *
 * @throws StorageError no-such-version when the source has it no more; damaged when its bytes are not its checksum's, or
 * the target answers another ETag or size
 */
export async function copyVersion(
  ctx: Context,
  work: Copying,
  { key, versionId, generation }: VersionSummary,
): Promise<void> {
  const open = await work.from.open(ctx, { bucket: work.bucket, key, versionId });
  try {
    const { version } = open;
    // A "null" version that was written again meanwhile: its place in the order may be another.
    if (version.generation !== generation) throw refused("no-such-version", `${named(work, version)} was replaced`);
    const parts = version.partsCount > 0 ? await open.parts() : [];
    // An object whose ETag is no MD5 keeps it as an upload of one part: a PUT's ETag is its MD5.
    const made =
      parts.length > 0 || !PLAIN_MD5.test(version.etag)
        ? await copyParts(ctx, work, open, parts)
        : await copyWhole(ctx, work, open);
    if (made.etag !== version.etag || made.sizeBytes !== version.sizeBytes)
      throw refused(
        "damaged",
        `${named(work, version)}: written as ETag ${made.etag} and ${made.sizeBytes} bytes, not ${version.etag} and ${version.sizeBytes}`,
      );
    work.onBytes(version.sizeBytes);
  } finally {
    open.close();
  }
}

const named = ({ bucket }: Copying, { key, versionId }: ObjectVersion) => `${bucket}/${key}, version ${versionId}`;

/** What to hold the bytes against. Bytes without a checksum get the upload's, or S3's default. */
function checksumOf(known: Checksum | null, algorithm: ChecksumAlgorithm | null = null) {
  if (known?.type === "FULL_OBJECT") return { algorithm: known.algorithm, checksum: known.value };
  return { algorithm: algorithm ?? "CRC64NVME", checksum: null };
}

function copyWhole(ctx: Context, work: Copying, open: OpenObject): Promise<ObjectVersion> {
  const { version } = open;
  const { key, sizeBytes, etag, checksum, attributes } = version;
  const expected = { what: named(work, version), sizeBytes, md5: etag, ...checksumOf(checksum) };
  const body = verifiedBody(() => open.read(0, sizeBytes), expected);
  return work.to.put(ctx, { bucket: work.bucket, key, body, attributes, preconditions: {} });
}

async function copyParts(
  ctx: Context,
  work: Copying,
  open: OpenObject,
  parts: readonly ObjectPart[],
): Promise<ObjectVersion> {
  const { to, bucket } = work;
  const { version } = open;
  const { key, sizeBytes, etag, checksum, attributes } = version;
  const whole = { number: 1, sizeBytes, etag: "", checksum: null };
  const algorithm = checksum?.algorithm ?? null;
  const { uploadId } = await to.createUpload(ctx, {
    ...{ bucket, key, attributes, initiatorId: version.ownerId },
    ...{ checksumAlgorithm: algorithm, checksumType: checksum?.type ?? "FULL_OBJECT" },
  });
  const ref = { bucket, key, uploadId };
  try {
    let offset = 0;
    const done: ObjectPart[] = [];
    for (const part of parts.length > 0 ? parts : [whole]) {
      const from = offset;
      const expected = {
        what: `${named(work, version)}, part ${part.number}`,
        sizeBytes: part.sizeBytes,
        md5: PLAIN_MD5.test(part.etag) ? part.etag : null,
        ...checksumOf(part.checksum, algorithm),
      };
      const body = verifiedBody(() => open.read(from, part.sizeBytes), expected);
      done.push(await to.putPart(ctx, { ...ref, partNumber: part.number, body }));
      offset += part.sizeBytes;
    }
    const listed = done.map((part) => ({ number: part.number, etag: part.etag, checksum: null }));
    // ETag and checksum of the whole are taken over, and not computed: they are what clients have recorded.
    return await to.completeUpload(ctx, {
      ...ref,
      parts: listed,
      preconditions: {},
      digest: () => ({ etag, checksum }),
    });
  } catch (error) {
    // Not by the request's signal, which may be what ended it.
    await to.abortUpload({ ...ctx, signal: AbortSignal.timeout(30_000) }, ref).catch(() => {});
    throw error;
  }
}
