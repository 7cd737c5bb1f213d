import { createHash, hash } from "node:crypto";
import { availableParallelism } from "node:os";
import { S3Error } from "../../src/errors/s3-error.js";
import type { ChecksumAlgorithm } from "../../src/model/object.js";
import { checksumOf, newChecksum } from "../../src/runtime/checksum/checksum.js";
import type { BodyDigest } from "../types.js";
import type { DeclaredDigests } from "./declared.js";
import { Md5Thread } from "./md5-thread.js";

/** Which digests of a body are worth their time. */
export interface Wanted {
  readonly md5: boolean;
  readonly sha256: boolean;
  readonly checksum: ChecksumAlgorithm | undefined;
}

/** What was computed of what was wanted: MD5 and SHA-256 in hex, the checksum in base64. */
export interface Found {
  readonly md5: string | undefined;
  readonly sha256: string | undefined;
  readonly checksum: string | undefined;
}

/** Takes a body's bytes in order. */
export interface RunningDigests {
  /** A promise where the caller should wait before it gives more. */
  update(bytes: Buffer): void | Promise<void>;
  finish(): Found | Promise<Found>;
  /** Called instead of finish() where the body ended early. */
  abandon(): void;
}

export function digestsOf(bytes: Buffer, wanted: Wanted): Found {
  const sha256 = wanted.sha256 ? hash("sha256", bytes, "hex") : undefined;
  return {
    md5: wanted.md5 ? hash("md5", bytes, "hex") : undefined,
    sha256,
    checksum: checksumFor(bytes, wanted, sha256),
  };
}

function checksumFor(bytes: Buffer, { checksum }: Wanted, sha256: string | undefined): string | undefined {
  if (checksum === undefined) return undefined;
  return checksum === "SHA256" && sha256 !== undefined ? hexToBase64(sha256) : checksumOf(checksum, bytes);
}

/**
 * Digests of a body that passes by. MD5, which takes more time than all else together, is computed in a thread of its own
 * where that pays (docs/decisions/009).
 */
export function runningDigests(wanted: Wanted, lengthBytes: number | undefined): RunningDigests {
  const isLarge = (lengthBytes ?? THREAD_BYTES) >= THREAD_BYTES;
  return (wanted.md5 && isLarge ? inMd5Thread(wanted) : undefined) ?? inThisThread(wanted);
}

/** From this length on, what a thread saves is more than what it costs to tell it. */
const THREAD_BYTES = 1024 * 1024;
let md5Thread: Md5Thread | undefined;

/** Undefined: the thread has as many bodies as it takes. */
function inMd5Thread(wanted: Wanted): RunningDigests | undefined {
  if (availableParallelism() < 2) return undefined;
  if (!md5Thread || md5Thread.failure) md5Thread = new Md5Thread();
  const thread = md5Thread;
  const body = thread.begin();
  if (body === undefined) return undefined;
  const others = inThisThread({ ...wanted, md5: false });
  return {
    update(bytes) {
      const wait = thread.update(body, bytes);
      others.update(bytes);
      return wait;
    },
    async finish() {
      const found = others.finish();
      return { ...found, md5: await thread.finish(body) };
    },
    abandon() {
      // A thread that is gone has forgotten it too.
      thread.abandon(body).catch(() => {});
    },
  };
}

interface InThisThread extends RunningDigests {
  update(bytes: Buffer): void;
  finish(): Found;
}

function inThisThread(wanted: Wanted): InThisThread {
  const md5 = wanted.md5 ? createHash("md5") : undefined;
  const sha256 = wanted.sha256 || wanted.checksum === "SHA256" ? createHash("sha256") : undefined;
  const { checksum: algorithm } = wanted;
  const checksum = algorithm === undefined || algorithm === "SHA256" ? undefined : newChecksum(algorithm);
  return {
    update(bytes) {
      md5?.update(bytes);
      sha256?.update(bytes);
      checksum?.update(bytes);
    },
    finish() {
      const hex = sha256?.digest("hex");
      const shared = algorithm === "SHA256" && hex !== undefined ? hexToBase64(hex) : undefined;
      return { md5: md5?.digest("hex"), sha256: hex, checksum: checksum?.digest() ?? shared };
    },
    abandon() {},
  };
}

const hexToBase64 = (hex: string): string => Buffer.from(hex, "hex").toString("base64");

/**
 * Holds what was found against what was declared.
 *
 * @param checksum the declared value, from header or trailer
 * @throws S3Error XAmzContentSHA256Mismatch, BadDigest
 */
export function checkDigests(declared: DeclaredDigests, checksum: string | undefined, found: Found): void {
  if (declared.sha256 !== undefined && found.sha256 !== declared.sha256) {
    throw new S3Error(
      "XAmzContentSHA256Mismatch",
      "The provided 'x-amz-content-sha256' header does not match what was computed.",
      {
        fields: { ClientComputedContentSHA256: declared.sha256, S3ComputedContentSHA256: found.sha256 ?? "" },
      },
    );
  }
  if (declared.md5 !== undefined && found.md5 !== declared.md5) {
    throw new S3Error("BadDigest", "The Content-MD5 you specified did not match what we received.", {
      fields: { ExpectedDigest: hexToBase64(declared.md5), CalculatedDigest: hexToBase64(found.md5 ?? "") },
    });
  }
  if (declared.checksum && found.checksum !== checksum) {
    const { algorithm } = declared.checksum;
    throw new S3Error("BadDigest", `The ${algorithm} you specified did not match the calculated checksum.`);
  }
}

/** What an engine is told of a body whose checksum covers it whole. */
export function bodyDigest(found: Found, algorithm: ChecksumAlgorithm): BodyDigest {
  return { md5: found.md5 as string, checksum: { algorithm, type: "FULL_OBJECT", value: found.checksum as string } };
}
