import type { BodySource } from "../../src/engines/object-engine.js";
import { S3Error } from "../../src/errors/s3-error.js";
import type { ChecksumAlgorithm } from "../../src/model/object.js";
import type { BodyDigest, Payload, RequestBody, S3Request } from "../types.js";
import { AwsChunkedDecoder } from "./aws-chunked.js";
import { type DeclaredDigests, readDeclared, readDeclaredOfDocument } from "./declared.js";
import { bodyDigest, checkDigests, digestsOf } from "./digests.js";
import { gather, MessageReader } from "./message-reader.js";
import { streamSource } from "./stream-source.js";

/** Up to this a body is gathered into one Buffer: what a socket gives in one read. */
const WHOLE_BYTES = 64 * 1024;
const LENGTH = /^\d{1,15}$/;

/**
 * The body of a request whose signature was verified. Nothing is read, and no header judged, before it is asked for.
 *
 * @param beforeReading called once, before the first byte is awaited: where `Expect: 100-continue` is answered
 */
export function openBody(request: S3Request, payload: Payload, beforeReading?: () => void): RequestBody {
  return new MessageBody(request, payload, beforeReading);
}

class MessageBody implements RequestBody {
  private known: DeclaredDigests | undefined;
  private decoder: AwsChunkedDecoder | undefined;
  private reading = false;
  private digested: BodyDigest | undefined;

  constructor(
    private readonly request: S3Request,
    private readonly payload: Payload,
    private readonly beforeReading: (() => void) | undefined,
  ) {}

  get lengthBytes(): number | undefined {
    const { headers } = this.request;
    if (!this.isChunked) return parseLength(headers.get("content-length"), "Content-Length");
    return parseLength(headers.get("x-amz-decoded-content-length"), "x-amz-decoded-content-length");
  }

  get declared(): RequestBody["declared"] {
    const { checksum } = this.digests();
    return checksum && { algorithm: checksum.algorithm, value: this.declaredChecksum(checksum) };
  }

  async text(limitBytes: number, options: { checksumHeaders?: "ignored" } = {}): Promise<string> {
    const { headers } = this.request;
    const declared =
      options.checksumHeaders === "ignored" ? readDeclaredOfDocument(headers, this.payload) : this.digests();
    const length = this.lengthBytes;
    if (length !== undefined && length > limitBytes) throw tooLong(limitBytes);
    const bytes = await this.whole(declared, length ?? (this.isFramed ? undefined : 0), limitBytes);
    const wanted = { md5: declared.md5 !== undefined, checksum: declared.checksum?.algorithm };
    const found = digestsOf(bytes, { ...wanted, sha256: declared.sha256 !== undefined });
    checkDigests(declared, this.declaredChecksum(declared.checksum), found);
    return bytes.toString("utf8");
  }

  async source(options: { algorithm: ChecksumAlgorithm; limitBytes: number }): Promise<BodySource> {
    const declared = this.digests();
    const length = this.lengthBytes;
    if (length === undefined && (this.isChunked || !this.isFramed)) throw new S3Error("MissingContentLength");
    if (length !== undefined && length > options.limitBytes) throw tooLarge(length, options.limitBytes);
    const algorithm = declared.checksum?.algorithm ?? options.algorithm;
    if (length !== undefined && length <= WHOLE_BYTES) {
      const bytes = await this.whole(declared, length, length);
      return { bytes, lengthBytes: length, finish: () => this.digestWhole(bytes, declared, algorithm) };
    }
    const source = streamSource({
      pieces: this.pieces(declared, options.limitBytes, tooLarge),
      lengthBytes: length,
      declared,
      algorithm,
      checksum: () => this.declaredChecksum(declared.checksum),
    });
    return { ...source, finish: async () => this.kept(await source.finish()) };
  }

  async *raw(): AsyncGenerator<Buffer, void, undefined> {
    this.begin();
    const reader = new MessageReader(this.request.message);
    try {
      for (let bytes = await reader.next(); bytes; bytes = await reader.next()) yield bytes;
    } finally {
      reader.stop();
    }
  }

  digest(): BodyDigest | undefined {
    return this.digested;
  }

  private get isChunked(): boolean {
    return this.payload.kind === "chunked-signed" || this.payload.kind === "chunked-unsigned-trailer";
  }

  /** HTTP says where the body ends. Without Content-Length and Transfer-Encoding there is none (RFC 9112 section 6.3). */
  private get isFramed(): boolean {
    const { headers } = this.request;
    return headers.has("content-length") || headers.has("transfer-encoding");
  }

  private digests(): DeclaredDigests {
    this.known ??= readDeclared(this.request.headers, this.payload);
    return this.known;
  }

  private declaredChecksum(checksum: DeclaredDigests["checksum"]): string | undefined {
    return checksum?.trailer === undefined ? checksum?.value : this.decoder?.trailerValue;
  }

  private digestWhole(bytes: Buffer, declared: DeclaredDigests, algorithm: ChecksumAlgorithm): BodyDigest {
    const found = digestsOf(bytes, { md5: true, sha256: declared.sha256 !== undefined, checksum: algorithm });
    checkDigests(declared, this.declaredChecksum(declared.checksum), found);
    return this.kept(bodyDigest(found, algorithm));
  }

  private kept(digest: BodyDigest): BodyDigest {
    this.digested = digest;
    return digest;
  }

  /** The decoded body in one Buffer. `length` undefined: not declared, so at most `limitBytes` are taken. */
  private async whole(declared: DeclaredDigests, length: number | undefined, limitBytes: number): Promise<Buffer> {
    if (!this.isChunked && length !== undefined) {
      this.begin();
      return gather(this.request.message, length);
    }
    const gathered: Buffer[] = [];
    for await (const piece of this.pieces(declared, limitBytes, (_sent, limit) => tooLong(limit))) gathered.push(piece);
    return gathered.length === 1 ? (gathered[0] as Buffer) : Buffer.concat(gathered);
  }

  /** The decoded body as it comes. */
  private async *pieces(
    declared: DeclaredDigests,
    limitBytes: number,
    tooMuch: (sent: number, limit: number) => S3Error,
  ): AsyncGenerator<Buffer, void, undefined> {
    const decoder = this.newDecoder(declared);
    let taken = 0;
    this.begin();
    const reader = new MessageReader(this.request.message);
    try {
      for (let bytes = await reader.next(); bytes; bytes = await reader.next()) {
        for (const piece of decoder ? decoder.decode(bytes) : [bytes]) {
          taken += piece.length;
          if (taken > limitBytes) throw tooMuch(taken, limitBytes);
          yield piece;
        }
      }
    } finally {
      reader.stop();
    }
    decoder?.end();
  }

  private newDecoder(declared: DeclaredDigests): AwsChunkedDecoder | undefined {
    const { payload } = this;
    if (payload.kind !== "chunked-signed" && payload.kind !== "chunked-unsigned-trailer") return undefined;
    const length = this.lengthBytes;
    if (length === undefined) throw new S3Error("MissingContentLength");
    this.decoder = new AwsChunkedDecoder(payload, length, declared.checksum);
    return this.decoder;
  }

  private begin(): void {
    if (this.reading) throw new Error("a request's body can be read once");
    this.reading = true;
    this.beforeReading?.();
  }
}

function parseLength(text: string | undefined, name: string): number | undefined {
  if (text === undefined) return undefined;
  if (LENGTH.test(text)) return Number(text);
  throw new S3Error("InvalidArgument", `${name} must be a count of bytes`, {
    fields: { ArgumentName: name, ArgumentValue: text },
  });
}

function tooLarge(proposed: number, limit: number): S3Error {
  return new S3Error("EntityTooLarge", undefined, {
    fields: { ProposedSize: String(proposed), MaxSizeAllowed: String(limit) },
  });
}

function tooLong(limit: number): S3Error {
  return new S3Error("MaxMessageLengthExceeded", undefined, { fields: { MaxMessageLengthBytes: String(limit) } });
}
