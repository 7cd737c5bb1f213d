import type { Socket } from "node:net";
import { Packr } from "msgpackr";

const HEADER_BYTES = 4;
// A deleteMany of 1,000 long keys, and the manifest of 10,000 parts, stay under a few MiB.
const MAX_FRAME_BYTES = 64 * 1024 ** 2;
/** What is gathered in one turn, of 32 puts of 4 KiB, fits; more goes out in several writes. */
const BUFFER_BYTES = 256 * 1024;
const SPARE_BUFFERS = 2;

// Plain maps: both ends may be of different builds for the moment of a restart, and structures would have to agree.
const packr = new Packr({ useRecords: false });

/**
 * Messages on a socket: a length of 4 bytes and the message. What is sent in one turn of the event loop goes out in one
 * write. Its buffers are used again once they are written: a new one for each write is what the collector then runs after.
 */
export class FrameWriter {
  readonly #socket: Socket;
  readonly #spare: Buffer[] = [];
  #buffer: Buffer | undefined;
  #end = 0;
  #scheduled = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Answers the frame's size in bytes. */
  send(message: unknown): number {
    const payload = packr.pack(message);
    return this.write(payload.length, (target, start) => target.set(payload, start));
  }

  /**
   * A message of so many bytes, which `fill` lays out from `start`.
   *
   * @throws RangeError when the other end would not take it; nothing is sent
   */
  write(bytes: number, fill: (target: Buffer, start: number) => void): number {
    if (bytes > MAX_FRAME_BYTES) throw new RangeError(`a message of ${bytes} bytes`);
    const frameBytes = HEADER_BYTES + bytes;
    if (this.#buffer && this.#buffer.length - this.#end < frameBytes) this.flush();
    this.#buffer ??= this.#take(frameBytes);
    this.#buffer.writeUInt32BE(bytes, this.#end);
    fill(this.#buffer, this.#end + HEADER_BYTES);
    this.#end += frameBytes;
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(this.#flushed);
    }
    return frameBytes;
  }

  #take(bytes: number): Buffer {
    return bytes > BUFFER_BYTES
      ? Buffer.allocUnsafe(bytes)
      : (this.#spare.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES));
  }

  readonly #flushed = (): void => {
    this.#scheduled = false;
    this.flush();
  };

  flush(): void {
    const buffer = this.#buffer;
    if (!buffer) return;
    const whole = buffer.subarray(0, this.#end);
    this.#buffer = undefined;
    this.#end = 0;
    if (!this.#socket.writable) return;
    this.#socket.write(whole, () => {
      if (buffer.length === BUFFER_BYTES && this.#spare.length < SPARE_BUFFERS) this.#spare.push(buffer);
    });
  }
}

/**
 * Calls `take` with each message. Buffers within it are views of what was received.
 *
 * @throws RangeError when a length is none of ours: the stream is lost
 */
export class FrameReader<T> {
  readonly #take: (message: T, bytes: number) => void;
  readonly #own: (message: Buffer) => T | undefined;
  #rest: Buffer[] = [];
  #restBytes = 0;
  /** How much makes the next frame whole. */
  #wanted = HEADER_BYTES;

  /** `own`: reads messages that are not msgpack. */
  constructor(own: (message: Buffer) => T | undefined, take: (message: T, bytes: number) => void) {
    this.#own = own;
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
      const message = bytes.subarray(at + HEADER_BYTES, end);
      this.#take(this.#own(message) ?? (packr.unpack(message) as T), length);
      at = end;
    }
    if (at < bytes.length) {
      this.#rest = [bytes.subarray(at)];
      this.#restBytes = bytes.length - at;
    }
  }
}
