import { createHash, hash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { ChecksumAlgorithm } from "../../model/object.js";
import { CRC32, CRC32C, CRC64NVME, combineCrc, RunningCrc } from "./crc.js";

/** How many bytes a checksum has before it is written in base64. */
export const CHECKSUM_BYTES = {
  CRC32: 4,
  CRC32C: 4,
  CRC64NVME: 8,
  SHA1: 20,
  SHA256: 32,
} as const satisfies Record<ChecksumAlgorithm, number>;

export interface RunningChecksum {
  update(bytes: Uint8Array): void;
  /** Base64, as S3's headers have it. Called once, at the end. */
  digest(): string;
}

export function newChecksum(algorithm: ChecksumAlgorithm): RunningChecksum {
  switch (algorithm) {
    case "CRC32":
      return new RunningCrc32();
    case "CRC32C":
      return base64Of(new RunningCrc(32));
    case "CRC64NVME":
      return base64Of(new RunningCrc(64));
    case "SHA1":
      return hashOf("sha1");
    case "SHA256":
      return hashOf("sha256");
  }
}

/** The checksum of bytes that are at hand whole, in base64: less work a call than `newChecksum`. */
export function checksumOf(algorithm: ChecksumAlgorithm, bytes: Uint8Array): string {
  switch (algorithm) {
    case "SHA1":
      return hash("sha1", bytes, "base64");
    case "SHA256":
      return hash("sha256", bytes, "base64");
    case "CRC32":
    case "CRC32C":
    case "CRC64NVME": {
      const running = newChecksum(algorithm);
      running.update(bytes);
      return running.digest();
    }
  }
}

class RunningCrc32 implements RunningChecksum {
  private crc = 0;

  update(bytes: Uint8Array): void {
    this.crc = crc32(bytes, this.crc);
  }

  digest(): string {
    const digest = Buffer.allocUnsafe(4);
    digest.writeUInt32BE(this.crc, 0);
    return digest.toString("base64");
  }
}

function base64Of(running: RunningCrc): RunningChecksum {
  return { update: (bytes) => running.update(bytes), digest: () => running.digest().toString("base64") };
}

function hashOf(name: "sha1" | "sha256"): RunningChecksum {
  const running = createHash(name);
  return { update: (bytes) => void running.update(bytes), digest: () => running.digest("base64") };
}

const KINDS = { CRC32, CRC32C, CRC64NVME };

/** The algorithms whose checksum of a whole follows from those of its parts. */
export type CombinableAlgorithm = keyof typeof KINDS;

export function isCombinable(algorithm: ChecksumAlgorithm): algorithm is CombinableAlgorithm {
  return Object.hasOwn(KINDS, algorithm);
}

/**
 * FULL_OBJECT: the base64 checksum of parts put together, from each part's own. None: that of no bytes.
 *
 * @throws RangeError when a value is not this algorithm's
 */
export function combineChecksums(
  algorithm: CombinableAlgorithm,
  parts: readonly { readonly value: string; readonly sizeBytes: number }[],
): string {
  const kind = KINDS[algorithm];
  let whole = 0n;
  for (const part of parts) {
    const crc = BigInt(`0x${rawChecksum(algorithm, part.value).toString("hex")}`);
    whole = combineCrc(kind, whole, crc, part.sizeBytes);
  }
  return Buffer.from(whole.toString(16).padStart(kind.bits / 4, "0"), "hex").toString("base64");
}

/**
 * COMPOSITE: the checksum of the parts' checksums, then `-N`, the count of parts.
 *
 * @throws RangeError when a value is not this algorithm's
 */
export function compositeChecksum(algorithm: ChecksumAlgorithm, values: readonly string[]): string {
  const raw = Buffer.concat(values.map((value) => rawChecksum(algorithm, value)));
  return `${checksumOf(algorithm, raw)}-${values.length}`;
}

/** Whether text is a checksum of this algorithm: strict base64 of its exact length. */
export function isChecksum(algorithm: ChecksumAlgorithm, value: string): boolean {
  const raw = Buffer.from(value, "base64");
  return raw.length === CHECKSUM_BYTES[algorithm] && raw.toString("base64") === value;
}

function rawChecksum(algorithm: ChecksumAlgorithm, value: string): Buffer {
  if (!isChecksum(algorithm, value)) throw new RangeError(`not a ${algorithm} checksum in base64: ${value}`);
  return Buffer.from(value, "base64");
}
