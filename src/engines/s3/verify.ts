import { createHash, type Hash } from "node:crypto";
import { refused } from "../../errors/storage-error.js";
import type { Checksum, ObjectPart, ObjectVersion } from "../../model/object.js";
import { newChecksum, type RunningChecksum } from "../../runtime/checksum/checksum.js";

/** Bytes in a row that one digest is of. */
interface Piece {
  readonly sizeBytes: number;
  readonly checksum: Checksum | null;
  /** Hex; null where it is no digest of the bytes. */
  readonly md5: string | null;
}

const MD5 = /^[0-9a-f]{32}$/;

/** What a whole body is held against: the checksum of all, or those of its parts; [] where nothing is known. */
export function wholePieces(version: ObjectVersion, parts: readonly ObjectPart[]): Piece[] {
  const { sizeBytes, checksum, etag, partsCount } = version;
  const md5 = partsCount === 0 && MD5.test(etag) ? etag : null;
  if (checksum?.type === "FULL_OBJECT") return [{ sizeBytes, checksum, md5 }];
  if (parts.length > 0 && parts.reduce((sum, part) => sum + part.sizeBytes, 0) === sizeBytes)
    return parts.map((part) => ({ sizeBytes: part.sizeBytes, checksum: part.checksum, md5: part.etag }));
  return [{ sizeBytes, checksum: null, md5 }];
}

/** Holds bytes that pass by against what was stored of them. The cheaper digest where there are two: MD5 is the slowest of all. */
export class Verifier {
  readonly #pieces: readonly Piece[];
  #at = 0;
  #left = 0;
  #checksum: RunningChecksum | undefined;
  #md5: Hash | undefined;

  constructor(pieces: readonly Piece[]) {
    this.#pieces = pieces;
    this.#begin();
  }

  #begin(): void {
    const piece = this.#pieces[this.#at];
    this.#left = piece?.sizeBytes ?? 0;
    this.#checksum = piece?.checksum ? newChecksum(piece.checksum.algorithm) : undefined;
    this.#md5 = piece && !piece.checksum && piece.md5 !== null ? createHash("md5") : undefined;
  }

  /** @throws damaged */
  update(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#at >= this.#pieces.length) throw damaged();
      const piece = bytes.subarray(at, at + this.#left);
      this.#checksum?.update(piece);
      this.#md5?.update(piece);
      at += piece.length;
      this.#left -= piece.length;
      if (this.#left === 0) this.#finish();
    }
  }

  /** @throws damaged where bytes are missing, too */
  end(): void {
    while (this.#at < this.#pieces.length && this.#left === 0) this.#finish();
    if (this.#at < this.#pieces.length) throw damaged();
  }

  #finish(): void {
    const piece = this.#pieces[this.#at] as Piece;
    if (this.#checksum && this.#checksum.digest() !== piece.checksum?.value) throw damaged();
    if (this.#md5 && this.#md5.digest("hex") !== piece.md5) throw damaged();
    this.#at++;
    this.#begin();
  }
}

const damaged = () => refused("damaged", "the stored bytes are not those that were written: see the log, and scrub");
