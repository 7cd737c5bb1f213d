import { createHash, type Hash, hash } from "node:crypto";
import { S3Error } from "../../src/errors/s3-error.js";
import { isChecksum } from "../../src/runtime/checksum/checksum.js";
import { sameSignature } from "../auth/signature.js";
import type { Payload } from "../types.js";
import type { DeclaredDigests } from "./declared.js";

type ChunkedPayload = Extract<Payload, { kind: "chunked-signed" | "chunked-unsigned-trailer" }>;

/** S3: "the chunk size must be at least 8 KB", the last one's excepted. It also bounds what signatures cost a byte. */
const MIN_CHUNK_BYTES = 8192;
/** A chunk's line has at most 16 digits, `;chunk-signature=` and 64 more. */
const MAX_CHUNK_LINE = 128;
const MAX_TRAILER_LINE = 1024;
const MAX_TRAILER_LINES = 8;

const UNSIGNED_LINE = /^([0-9a-fA-F]{1,16})$/;
const SIGNED_LINE = /^([0-9a-fA-F]{1,16});chunk-signature=([0-9a-zA-Z]{0,64})$/;
const TRAILER_LINE = /^([A-Za-z0-9-]+):(.*)$/;
const TRAILER_SIGNATURE = "x-amz-trailer-signature";

const EMPTY_SHA256 = hash("sha256", "", "hex");
const [CR, LF] = [0x0d, 0x0a];

/**
 * Decodes `aws-chunked` bodies (S3 API, "Transferring Payload in Multiple Chunks" and "Including Trailing Headers") from
 * buffers cut anywhere. Each chunk's signature is verified when the chunk has ended, so its bytes are given out before;
 * what was made of them may be kept only after end(). Holds no more than a line.
 */
export class AwsChunkedDecoder {
  /** The trailing checksum, once it came. */
  trailerValue: string | undefined;

  private state: "size" | "data" | "after-data" | "trailer" | "final" | "done" = "size";
  private line = "";
  private chunks = 0;
  private chunkBytes = 0;
  private chunkSignature = "";
  private missing = 0;
  private decoded = 0;
  private running: Hash | undefined;
  private previousSignature: string;
  private trailers = "";
  private trailerLines = 0;
  private trailerSignature: string | undefined;

  constructor(
    private readonly payload: ChunkedPayload,
    private readonly lengthBytes: number,
    private readonly checksum: DeclaredDigests["checksum"],
  ) {
    this.previousSignature = payload.kind === "chunked-signed" ? payload.seedSignature : "";
  }

  /**
   * @returns views of `bytes`, in order
   * @throws S3Error IncompleteBody where it is not chunked as declared; SignatureDoesNotMatch, InvalidChunkSizeError,
   * MalformedTrailerError, InvalidRequest of a trailing checksum
   */
  decode(bytes: Buffer): Buffer[] {
    const pieces: Buffer[] = [];
    let at = 0;
    while (at < bytes.length) {
      if (this.state === "data") {
        const piece = bytes.subarray(at, at + this.missing);
        at += piece.length;
        this.takeData(piece);
        pieces.push(piece);
      } else at = this.takeLine(bytes, at);
    }
    return pieces;
  }

  /** To be called where the body has ended. @throws S3Error IncompleteBody */
  end(): void {
    if (this.state !== "done") throw malformed();
  }

  private takeData(piece: Buffer): void {
    this.missing -= piece.length;
    if (this.payload.kind === "chunked-signed") {
      // A chunk that lies in one buffer is hashed at once, which is half the cost.
      if (piece.length === this.chunkBytes) this.verifyChunk(hash("sha256", piece, "hex"));
      else {
        this.running ??= createHash("sha256");
        this.running.update(piece);
        if (this.missing === 0) {
          const digest = this.running.digest("hex");
          this.running = undefined;
          this.verifyChunk(digest);
        }
      }
    }
    if (this.missing === 0) this.state = "after-data";
  }

  /** Takes bytes up to the end of a line; a whole one is acted on. */
  private takeLine(bytes: Buffer, from: number): number {
    if (this.state === "done") throw malformed();
    const limit = this.state === "trailer" ? MAX_TRAILER_LINE : MAX_CHUNK_LINE;
    const end = bytes.indexOf(LF, from);
    const until = end < 0 ? bytes.length : end;
    if (this.line.length + until - from > limit) throw this.state === "trailer" ? malformedTrailer() : malformed();
    this.line += bytes.toString("latin1", from, until);
    if (end < 0) return bytes.length;
    if (this.line.charCodeAt(this.line.length - 1) !== CR) throw malformed();
    const line = this.line.slice(0, -1);
    this.line = "";
    this.takeWholeLine(line);
    return end + 1;
  }

  private takeWholeLine(line: string): void {
    if (this.state === "size") this.startChunk(line);
    else if (this.state === "trailer" && line === "") this.endTrailers();
    else if (this.state === "trailer") this.takeTrailer(line);
    else if (line !== "") throw malformed();
    else this.state = this.state === "after-data" ? "size" : "done";
  }

  private startChunk(line: string): void {
    const signed = this.payload.kind === "chunked-signed";
    const match = (signed ? SIGNED_LINE : UNSIGNED_LINE).exec(line);
    if (!match) throw malformed();
    const size = Number.parseInt(match[1] as string, 16);
    this.chunks++;
    if (size > 0 && this.chunks > 1 && this.chunkBytes < MIN_CHUNK_BYTES) {
      throw new S3Error("InvalidChunkSizeError", undefined, {
        fields: { Chunk: String(this.chunks), BadChunkSize: String(this.chunkBytes) },
      });
    }
    this.decoded += size;
    if (this.decoded > this.lengthBytes || (size === 0 && this.decoded < this.lengthBytes)) throw malformed();
    this.chunkBytes = size;
    this.missing = size;
    this.chunkSignature = match[2] ?? "";
    if (size > 0) this.state = "data";
    else {
      if (signed) this.verifyChunk(EMPTY_SHA256);
      this.state = this.payload.kind === "chunked-signed" && !this.payload.trailer ? "final" : "trailer";
    }
  }

  private verifyChunk(sha256: string): void {
    this.verify("AWS4-HMAC-SHA256-PAYLOAD", `${EMPTY_SHA256}\n${sha256}`, this.chunkSignature);
  }

  private verify(kind: string, rest: string, signature: string): void {
    if (this.payload.kind !== "chunked-signed") return;
    const { timestamp, scope, signingKey } = this.payload;
    const expected = signingKey.sign(`${kind}\n${timestamp}\n${scope}\n${this.previousSignature}\n${rest}`);
    if (!sameSignature(expected, signature)) throw new S3Error("SignatureDoesNotMatch");
    this.previousSignature = expected;
  }

  private takeTrailer(line: string): void {
    const match = TRAILER_LINE.exec(line);
    if (!match || ++this.trailerLines > MAX_TRAILER_LINES || this.trailerSignature !== undefined)
      throw malformedTrailer();
    const name = (match[1] as string).toLowerCase();
    const value = (match[2] as string).trim();
    if (this.payload.kind === "chunked-signed" && name === TRAILER_SIGNATURE) {
      this.trailerSignature = value;
      return;
    }
    if (name !== this.checksum?.trailer || this.trailerValue !== undefined) throw malformedTrailer();
    if (!isChecksum(this.checksum.algorithm, value)) {
      throw new S3Error("InvalidRequest", `Value for ${name} trailing header is invalid.`);
    }
    this.trailerValue = value;
    this.trailers += `${name}:${value}\n`;
  }

  private endTrailers(): void {
    if (this.payload.kind === "chunked-signed") {
      if (this.trailerSignature === undefined) throw malformed();
      this.verify("AWS4-HMAC-SHA256-TRAILER", hash("sha256", this.trailers, "hex"), this.trailerSignature);
    }
    if (this.checksum?.trailer !== undefined && this.trailerValue === undefined) throw malformedTrailer();
    this.state = "done";
  }
}

function malformed(): S3Error {
  return new S3Error("IncompleteBody", "The request body terminated unexpectedly");
}

function malformedTrailer(): S3Error {
  return new S3Error("MalformedTrailerError");
}
