import { invalid, refused, StorageError } from "../../../errors/storage-error.js";
import type { BodyDigest, BodySource } from "../../object-engine.js";
import type { Context } from "../../types.js";
import type { BodyStore } from "./bodies/types.js";
import { xxh64 } from "./checks.js";
import { BODY_FILE, BODY_INLINE, type BodyRef, EMPTY_BODY, UNDECIDED } from "./records.js";

/** Bytes that were taken in and wait for the commit that names them. */
export interface Ingested {
  readonly body: BodyRef;
  /** The bytes, where the body is inline. */
  readonly inline: Buffer | null;
  readonly sizeBytes: number;
  readonly digest: BodyDigest;
}

const EMPTY = Buffer.alloc(0);

/**
 * Takes a body in: up to `inlineBytes` to travel with the metadata, more into a file. Nothing is left where it throws.
 *
 * @throws what the source throws; StorageError of BodyStore.write; object-too-large
 */
export class Ingest {
  readonly #bodies: BodyStore;
  readonly #inlineBytes: number;

  constructor(bodies: BodyStore, inlineBytes: number) {
    this.#bodies = bodies;
    this.#inlineBytes = inlineBytes;
  }

  async take(ctx: Context, source: BodySource, limitBytes: number, relaxed: boolean): Promise<Ingested> {
    const { bytes, lengthBytes } = source;
    if (Buffer.isBuffer(bytes) && bytes.length <= this.#inlineBytes) return inline(source, bytes);
    if (!Buffer.isBuffer(bytes) && (lengthBytes === undefined || lengthBytes <= this.#inlineBytes)) {
      const gathered = await this.#gather(ctx, bytes);
      if (gathered.rest === undefined) return inline(source, gathered.bytes);
      return this.#toFile(
        ctx,
        { ...rebased(source), bytes: rejoined(gathered.bytes, gathered.rest) },
        limitBytes,
        relaxed,
      );
    }
    return this.#toFile(ctx, source, limitBytes, relaxed);
  }

  async #toFile(ctx: Context, source: BodySource, limitBytes: number, relaxed: boolean): Promise<Ingested> {
    const written = await this.#bodies.write(source, { signal: ctx.signal, relaxed });
    const { bodyId, sizeBytes, digest } = written;
    if (sizeBytes > limitBytes) {
      await this.#bodies.discard(bodyId);
      throw tooLarge(sizeBytes, limitBytes);
    }
    return { body: { kind: BODY_FILE, id: bodyId, fileBytes: sizeBytes }, inline: null, sizeBytes, digest };
  }

  /** Up to `inlineBytes` and a chunk more; `rest` is there if more may follow. */
  async #gather(ctx: Context, bytes: AsyncIterable<Buffer>) {
    const chunks: Buffer[] = [];
    let length = 0;
    const iterator = bytes[Symbol.asyncIterator]();
    for (;;) {
      const { value, done } = await iterator.next();
      if (done) return { bytes: join(chunks, length), rest: undefined };
      if (ctx.signal.aborted) {
        await iterator.return?.();
        throw new StorageError("cancelled", "the request was cancelled");
      }
      // The source's own buffer, until it is asked for more.
      chunks.push(Buffer.from(value));
      length += value.length;
      if (length > this.#inlineBytes) return { bytes: join(chunks, length), rest: iterator };
    }
  }
}

/** @throws object-too-large where the declared length says so */
export function checkLength(source: BodySource, limitBytes: number): void {
  if (source.lengthBytes !== undefined && source.lengthBytes > limitBytes)
    throw tooLarge(source.lengthBytes, limitBytes);
}

const tooLarge = (bytes: number, limitBytes: number) =>
  refused("object-too-large", `${bytes} bytes: at most ${limitBytes} go in one request`);

function inline(source: BodySource, bytes: Buffer): Ingested | Promise<Ingested> {
  if (source.lengthBytes !== undefined && source.lengthBytes !== bytes.length)
    throw invalid(`the body has ${bytes.length} bytes, not the ${source.lengthBytes} that were declared`);
  const digest = source.finish();
  return digest instanceof Promise ? digest.then((known) => inlined(bytes, known)) : inlined(bytes, digest);
}

function inlined(bytes: Buffer, digest: BodyDigest): Ingested {
  const sizeBytes = bytes.length;
  if (sizeBytes === 0) return { body: EMPTY_BODY, inline: null, sizeBytes, digest };
  return { body: { kind: BODY_INLINE, id: UNDECIDED, check: xxh64(bytes) }, inline: bytes, sizeBytes, digest };
}

const join = (chunks: Buffer[], length: number): Buffer =>
  chunks.length === 1 ? (chunks[0] as Buffer) : chunks.length === 0 ? EMPTY : Buffer.concat(chunks, length);

const rebased = (source: BodySource) => ({ lengthBytes: source.lengthBytes, finish: () => source.finish() });

async function* rejoined(first: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield first;
    for (;;) {
      const { value, done } = await rest.next();
      if (done) return;
      yield value;
    }
  } finally {
    await rest.return?.();
  }
}
