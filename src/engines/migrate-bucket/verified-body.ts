import { createHash } from "node:crypto";
import { refused } from "../../errors/storage-error.js";
import type { ChecksumAlgorithm } from "../../model/object.js";
import { newChecksum } from "../../runtime/checksum/checksum.js";
import type { BodyDigest, BodySource } from "../object-engine.js";

/** What the bytes must turn out to be. */
export interface Expected {
  /** For people: `bucket/key, version X`. */
  what: string;
  sizeBytes: number;
  /** Hex MD5, or null where the ETag is not one. */
  md5: string | null;
  algorithm: ChecksumAlgorithm;
  /** Base64, or null where the source keeps none of these very bytes. */
  checksum: string | null;
}

/**
 * A body on its way from one engine to another: digested as it passes, and refused, whole, when it is not what the
 * source's record says.
 *
 * @param read called once, when the body is asked for
 */
export function verifiedBody(read: () => Buffer | AsyncIterable<Buffer>, expected: Expected): BodySource {
  const md5 = createHash("md5");
  const { algorithm } = expected;
  const checksum = newChecksum(algorithm);
  const take = (bytes: Buffer): void => {
    md5.update(bytes);
    checksum.update(bytes);
  };
  const bytes = read();
  if (Buffer.isBuffer(bytes)) take(bytes);
  return {
    bytes: Buffer.isBuffer(bytes) ? bytes : passing(bytes, take),
    lengthBytes: expected.sizeBytes,
    finish(): BodyDigest {
      const value = checksum.digest();
      const hex = md5.digest("hex");
      if (expected.checksum !== null && expected.checksum !== value)
        throw differs(expected, `${algorithm} ${value}, not ${expected.checksum}`);
      if (expected.md5 !== null && expected.md5 !== hex) throw differs(expected, `MD5 ${hex}, not ${expected.md5}`);
      return { md5: hex, checksum: { algorithm, type: "FULL_OBJECT", value } };
    },
  };
}

const differs = ({ what }: Expected, how: string) =>
  refused("damaged", `${what}: its bytes are not what was stored: ${how}`);

async function* passing(bytes: AsyncIterable<Buffer>, take: (bytes: Buffer) => void): AsyncGenerator<Buffer> {
  for await (const chunk of bytes) {
    take(chunk);
    yield chunk;
  }
}
