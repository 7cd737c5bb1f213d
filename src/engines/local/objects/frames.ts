import type { Socket } from "node:net";
import { Packr } from "msgpackr";

const HEADER_BYTES = 4;
// A deleteMany of 1,000 long keys, and the manifest of 10,000 parts, stay under a few MiB.
const MAX_FRAME_BYTES = 64 * 1024 ** 2;

// Plain maps: both ends may be of different builds for the moment of a restart, and structures would have to agree.
const packr = new Packr({ useRecords: false });

/**
 * Messages on a socket: a length of 4 bytes and msgpack. What is sent in one turn of the event loop goes out in one write.
 */
export class FrameWriter {
  readonly #socket: Socket;
  #parts: Buffer[] = [];
  #bytes = 0;
  #scheduled = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Answers the message's size in bytes. */
  send(message: unknown): number {
    const payload = packr.pack(message);
    const header = Buffer.allocUnsafe(HEADER_BYTES);
    header.writeUInt32BE(payload.length, 0);
    this.#parts.push(header, payload);
    this.#bytes += HEADER_BYTES + payload.length;
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(this.flush);
    }
    return HEADER_BYTES + payload.length;
  }

  readonly flush = (): void => {
    this.#scheduled = false;
    if (this.#bytes === 0) return;
    const whole = Buffer.concat(this.#parts, this.#bytes);
    this.#parts = [];
    this.#bytes = 0;
    if (this.#socket.writable) this.#socket.write(whole);
  };
}

/**
 * Calls `take` with each message. Buffers within it are views of what was received.
 *
 * @throws RangeError when a length is none of ours: the stream is lost
 */
export class FrameReader {
  readonly #take: (message: unknown, bytes: number) => void;
  #rest: Buffer[] = [];
  #restBytes = 0;
  /** How much makes the next frame whole. */
  #wanted = HEADER_BYTES;

  constructor(take: (message: unknown, bytes: number) => void) {
    this.#take = take;
  }

  push(chunk: Buffer): void {
    let bytes = chunk;
    if (this.#restBytes > 0) {
      this.#rest.push(chunk);
      this.#restBytes += chunk.length;
      if (this.#restBytes < this.#wanted) return;
      bytes = Buffer.concat(this.#rest, this.#restBytes);
      this.#rest = [];
      this.#restBytes = 0;
    }
    let at = 0;
    this.#wanted = HEADER_BYTES;
    while (bytes.length - at >= HEADER_BYTES) {
      const length = bytes.readUInt32BE(at);
      if (length > MAX_FRAME_BYTES) throw new RangeError(`a message of ${length} bytes`);
      const end = at + HEADER_BYTES + length;
      if (end > bytes.length) {
        this.#wanted = end - at;
        break;
      }
      this.#take(packr.unpack(bytes.subarray(at + HEADER_BYTES, end)), length);
      at = end;
    }
    if (at < bytes.length) {
      this.#rest = [bytes.subarray(at)];
      this.#restBytes = bytes.length - at;
    }
  }
}
