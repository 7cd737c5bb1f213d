import type { BodySource } from "../../src/engines/object-engine.js";
import type { ChecksumAlgorithm } from "../../src/model/object.js";
import type { BodyDigest } from "../types.js";
import type { DeclaredDigests } from "./declared.js";
import { bodyDigest, checkDigests, type Found, type RunningDigests, runningDigests } from "./digests.js";
import { incompleteBody } from "./message-reader.js";

export interface Stream {
  readonly pieces: AsyncIterable<Buffer>;
  readonly lengthBytes: number | undefined;
  readonly declared: DeclaredDigests;
  /** What the engine keeps of a checksum. */
  readonly algorithm: ChecksumAlgorithm;
  /** The declared checksum; of one in a trailer known only behind the last piece. */
  checksum(): string | undefined;
}

/** A body for an engine that is digested as it passes by. @throws S3Error from the iteration or from finish() */
export function streamSource(stream: Stream): BodySource {
  const { declared, algorithm } = stream;
  const pieces = new DigestedPieces(stream);
  return {
    bytes: { [Symbol.asyncIterator]: () => pieces },
    lengthBytes: stream.lengthBytes,
    async finish(): Promise<BodyDigest> {
      const found = await pieces.finish();
      checkDigests(declared, stream.checksum(), found);
      return bodyDigest(found, algorithm);
    },
  };
}

/** By hand: a generator around a generator costs some 5 us for each read of a socket. */
class DigestedPieces implements AsyncIterator<Buffer, undefined, undefined> {
  readonly #stream: Stream;
  #pieces: AsyncIterator<Buffer> | undefined;
  /** Begun with the first piece: who is refused before takes no lane of the hashing thread. */
  #running: RunningDigests | undefined;
  #found: Found | Promise<Found> | undefined;

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  async next(): Promise<IteratorResult<Buffer, undefined>> {
    try {
      this.#pieces ??= this.#stream.pieces[Symbol.asyncIterator]();
      const { value, done } = await this.#pieces.next();
      this.#running ??= this.#begin();
      if (done) {
        this.#end(this.#running);
        return { value: undefined, done };
      }
      const wait = this.#running.update(value);
      if (wait) await wait;
      return { value, done: false };
    } catch (error) {
      this.#abandon();
      throw error;
    }
  }

  async return(): Promise<IteratorResult<Buffer, undefined>> {
    this.#abandon();
    await this.#pieces?.return?.();
    return { value: undefined, done: true };
  }

  /** @throws S3Error IncompleteBody where not all was read */
  finish(): Found | Promise<Found> {
    if (!this.#found) throw incompleteBody();
    return this.#found;
  }

  /** At once, also where finish() will not be called since the engine failed: a lane is free again by it. */
  #end(running: RunningDigests): void {
    this.#running = undefined;
    this.#found = running.finish();
    if (this.#found instanceof Promise) this.#found.catch(() => undefined);
  }

  #begin(): RunningDigests {
    const { declared, algorithm, lengthBytes } = this.#stream;
    return runningDigests({ md5: true, sha256: declared.sha256 !== undefined, checksum: algorithm }, lengthBytes);
  }

  #abandon(): void {
    const running = this.#running;
    this.#running = undefined;
    running?.abandon();
  }
}
