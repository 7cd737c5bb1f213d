// RFC 9113 section 3.4.
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

// RFC 9113 sections 4.1, 6.2 and 6.10.
const FRAME_HEADER_BYTES = 9;
const HEADERS = 0x1;
const CONTINUATION = 0x9;
const END_HEADERS = 0x4;
const PADDED = 0x8;
const PRIORITY = 0x20;
const PRIORITY_BYTES = 5;
/** SETTINGS_MAX_FRAME_SIZE's initial value, the least that it can be: every server takes such a frame. */
const MAX_FRAME_BYTES = 16_384;

/** The most that is held back of one header block, frame headers included. Node's server takes less than 64 KiB. */
const MAX_HELD_BYTES = 65_536;

/**
 * Rewrites the header blocks in what an HTTP/2 client sends, and no other byte. What is no HTTP/2, a malformed frame and
 * a header block past 64 KiB pass as they are: the server behind judges them.
 */
export class HeaderBlockRewriter {
  readonly #rewrite: (block: Buffer) => Buffer | null;
  #prefaceSeen = false;
  /** Bytes of the frame at hand that still pass unseen; Infinity when all do. */
  #passing = 0;
  /** Bytes that wait for more: they begin with the preface or a frame, and are looked at again at `#neededBytes`. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #neededBytes = 1;

  /** @param rewrite gets a whole header block, answers another one or null to leave it; RFC 7541 section 6 */
  constructor(rewrite: (block: Buffer) => Buffer | null) {
    this.#rewrite = rewrite;
  }

  /** Takes the next bytes, in whatever pieces they arrive; answers those that can go on, in order. */
  push(chunk: Buffer): Buffer[] {
    if (this.#passing >= chunk.length) {
      this.#passing -= chunk.length;
      return [chunk];
    }
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes < this.#neededBytes) return [];
    return this.#process(this.end());
  }

  /** The bytes that were held back, when no more will come. */
  end(): Buffer {
    const bytes = this.#held.length === 1 ? (this.#held[0] as Buffer) : Buffer.concat(this.#held);
    this.#held = [];
    this.#heldBytes = 0;
    this.#neededBytes = 1;
    return bytes;
  }

  #process(bytes: Buffer): Buffer[] {
    const ready: Buffer[] = [];
    let passed = 0;
    let at = this.#passing;
    this.#passing = 0;
    while (at < bytes.length) {
      const step = this.#prefaceSeen ? this.#readFrame(bytes, at) : this.#readPreface(bytes);
      if (step.type === "more") {
        this.#hold(bytes.subarray(at), step.neededBytes);
        break;
      }
      if (step.type === "replace") {
        ready.push(bytes.subarray(passed, at), ...step.frames);
        passed = step.end;
      }
      at = step.end;
    }
    this.#passing = Math.max(0, at - bytes.length);
    ready.push(bytes.subarray(passed, Math.min(at, bytes.length)));
    return ready.filter((part) => part.length > 0);
  }

  #hold(rest: Buffer, neededBytes: number): void {
    this.#held = [rest];
    this.#heldBytes = rest.length;
    this.#neededBytes = neededBytes;
  }

  #readPreface(bytes: Buffer): Step {
    const length = Math.min(bytes.length, PREFACE.length);
    if (!bytes.subarray(0, length).equals(PREFACE.subarray(0, length))) return { type: "pass", end: Infinity };
    if (length < PREFACE.length) return { type: "more", neededBytes: length + 1 };
    this.#prefaceSeen = true;
    return { type: "pass", end: length };
  }

  #readFrame(bytes: Buffer, at: number): Step {
    const first = readFrame(bytes, at);
    if (!first) return { type: "more", neededBytes: FRAME_HEADER_BYTES };
    const pass: Step = { type: "pass", end: first.end };
    if (first.type !== HEADERS) return pass;
    const frames = [first];
    for (let last = first; ; ) {
      if (last.end - at > MAX_HELD_BYTES) return pass;
      if (last.end > bytes.length) return { type: "more", neededBytes: last.end - at };
      if (last.flags & END_HEADERS) return this.#rewriteBlock(bytes, frames);
      const next = readFrame(bytes, last.end);
      if (!next) return { type: "more", neededBytes: last.end + FRAME_HEADER_BYTES - at };
      if (next.type !== CONTINUATION || next.stream !== first.stream) return pass;
      frames.push(next);
      last = next;
    }
  }

  /** `frames`: a HEADERS frame and the CONTINUATION frames that end its block, all of them in `bytes`. */
  #rewriteBlock(bytes: Buffer, [first, ...rest]: Frame[]): Step {
    const end = (rest.at(-1) ?? (first as Frame)).end;
    const pass: Step = { type: "pass", end };
    const head = splitPayload(first as Frame, bytes);
    if (!head) return pass;
    const tail = rest.map((frame) => bytes.subarray(frame.payload, frame.end));
    const block = this.#rewrite(tail.length === 0 ? head.fragment : Buffer.concat([head.fragment, ...tail]));
    if (!block) return pass;
    return { type: "replace", frames: writeFrames(first as Frame, Buffer.concat([head.priority, block])), end };
  }
}

/** What to do at a place: wait until so many bytes from there are known, let pass, or replace what lies before `end`. */
type Step =
  | { type: "more"; neededBytes: number }
  | { type: "pass"; end: number }
  | { type: "replace"; frames: Buffer[]; end: number };

/** `payload` and `end` are places in the bytes that it was read from; `end` may lie past them. */
interface Frame {
  type: number;
  flags: number;
  stream: number;
  payload: number;
  end: number;
}

/** Null when its header is not all there yet. */
function readFrame(bytes: Buffer, at: number): Frame | null {
  const payload = at + FRAME_HEADER_BYTES;
  if (payload > bytes.length) return null;
  return {
    type: bytes.readUInt8(at + 3),
    flags: bytes.readUInt8(at + 4),
    stream: bytes.readUInt32BE(at + 5),
    payload,
    end: payload + bytes.readUIntBE(at, 3),
  };
}

/** Without its padding; null when that is longer than the payload. */
function splitPayload(frame: Frame, bytes: Buffer): { priority: Buffer; fragment: Buffer } | null {
  const isPadded = (frame.flags & PADDED) !== 0;
  const priority = frame.payload + (isPadded ? 1 : 0);
  const fragment = priority + (frame.flags & PRIORITY ? PRIORITY_BYTES : 0);
  const end = frame.end - (isPadded ? (bytes[frame.payload] ?? 0) : 0);
  if (fragment > end) return null;
  return { priority: bytes.subarray(priority, fragment), fragment: bytes.subarray(fragment, end) };
}

/** A payload as one HEADERS frame without padding, and as many CONTINUATION frames as it needs. */
function writeFrames({ flags, stream }: Frame, payload: Buffer): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at === 0 || at < payload.length; at += MAX_FRAME_BYTES) {
    const part = payload.subarray(at, at + MAX_FRAME_BYTES);
    const endHeaders = at + part.length === payload.length ? END_HEADERS : 0;
    const header = Buffer.alloc(FRAME_HEADER_BYTES);
    header.writeUIntBE(part.length, 0, 3);
    header.writeUInt8(at === 0 ? HEADERS : CONTINUATION, 3);
    header.writeUInt8((at === 0 ? flags & ~(PADDED | END_HEADERS) : 0) | endHeaders, 4);
    header.writeUInt32BE(stream, 5);
    frames.push(header, part);
  }
  return frames;
}
