import { createHash } from "node:crypto";
import type { BodyDigest, OpenObject } from "../src/engines/object-engine.js";
import { refused } from "../src/errors/storage-error.js";
import type { ChecksumAlgorithm, ObjectVersion } from "../src/model/object.js";
import { newChecksum } from "../src/runtime/checksum/checksum.js";
import { pinned, type ReadableSource } from "./copy-from.js";
import type { ByteRange } from "./http/range.js";
import type { RequestContext } from "./types.js";

const MD5 = /^[0-9a-f]{32}$/;

/** What is known of these bytes without reading them: those of a whole object that was put in one piece. */
function knownDigest(version: ObjectVersion, range: ByteRange, algorithm: ChecksumAlgorithm): BodyDigest | undefined {
  const { checksum, etag, sizeBytes } = version;
  const whole = range.offsetBytes === 0 && range.lengthBytes === sizeBytes;
  if (!whole || !MD5.test(etag) || checksum?.type !== "FULL_OBJECT" || checksum.algorithm !== algorithm)
    return undefined;
  return { md5: etag, checksum };
}

/**
 * MD5 and checksum of bytes of a copy's source, read and verified by the engine.
 *
 * @throws StorageError conflict where the source is another version by now
 */
export async function digestOfRange(
  ctx: RequestContext,
  source: ReadableSource,
  range: ByteRange,
  algorithm: ChecksumAlgorithm,
): Promise<BodyDigest> {
  const known = knownDigest(source.version, range, algorithm);
  if (known) return known;
  const { bucket, key, versionId, generation } = pinned(source);
  const opened = await ctx.engine.open(ctx, { bucket, key, versionId });
  try {
    if (opened.version.generation !== generation) throw refused("conflict", "the source was overwritten; try again");
    return await digestOf(opened, range, algorithm);
  } finally {
    opened.close();
  }
}

async function digestOf(opened: OpenObject, range: ByteRange, algorithm: ChecksumAlgorithm): Promise<BodyDigest> {
  const md5 = createHash("md5");
  const checksum = newChecksum(algorithm);
  const take = (bytes: Buffer) => {
    md5.update(bytes);
    checksum.update(bytes);
  };
  if (range.lengthBytes > 0) {
    const bytes = opened.read(range.offsetBytes, range.lengthBytes);
    if (Buffer.isBuffer(bytes)) take(bytes);
    else for await (const chunk of bytes) take(chunk);
  }
  return { md5: md5.digest("hex"), checksum: { algorithm, type: "FULL_OBJECT", value: checksum.digest() } };
}
