import { Worker } from "node:worker_threads";
import { MD5_BLOCK_BYTES, MD5_START, MD5_STATE_BYTES, md5Module } from "../../src/runtime/checksum/md5-module.js";

/** Bodies at once. Who finds no lane hashes elsewhere. */
const LANES = 16;
/** Of each lane: one that fills, and those that wait for a partner or for the thread. */
const BUFFERS = 3;
/** Of a job for the thread: to wake it costs some 20 us on both sides together. */
const BUFFER_BYTES = 256 * 1024;
/** A lane that has so many full buffers waits no longer for the bytes of another. */
const PATIENCE = BUFFERS - 1;

// The memory: a page of control words and states, then the lanes' buffers, and behind each room for MD5's padding.
const JOBS = 256;
const JOB_WORDS = 5;
const [WRITTEN, TAKEN, FIRST_JOB] = [0, 1, 2];
const STATES_AT = (FIRST_JOB + JOBS * JOB_WORDS) * 4;
const BUFFERS_AT = 64 * 1024;
const STRIDE = BUFFER_BYTES + 2 * MD5_BLOCK_BYTES;
const PAGES = Math.ceil((BUFFERS_AT + LANES * BUFFERS * STRIDE) / (64 * 1024));

/**
 * The thread's program: it sleeps on the count of written jobs, and does each. As text, since a file of its own would have
 * to be found by whatever loader or bundle this runs in.
 */
const PROGRAM = `
const { memory, module } = require("node:worker_threads").workerData;
const { one, two } = new WebAssembly.Instance(new WebAssembly.Module(module), { env: { memory } }).exports;
const words = new Int32Array(memory.buffer);
for (let taken = 0; ; ) {
  Atomics.wait(words, ${WRITTEN}, taken);
  for (const written = Atomics.load(words, ${WRITTEN}); taken !== written; ) {
    const job = ${FIRST_JOB} + ((taken >>> 0) % ${JOBS}) * ${JOB_WORDS};
    const [state, at, otherState, otherAt, blocks] = words.subarray(job, job + ${JOB_WORDS});
    if (otherAt === 0) one(state, at, blocks);
    else two(state, at, otherState, otherAt, blocks);
    taken = (taken + 1) | 0;
    Atomics.store(words, ${TAKEN}, taken);
    Atomics.notify(words, ${TAKEN});
  }
}
`;

// TypeScript's lib of the year has neither WebAssembly nor waitAsync; Node 20 has both.
const { waitAsync } = Atomics as unknown as {
  waitAsync(words: Int32Array, index: number, value: number): { async: boolean; value: Promise<string> | string };
};
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: { Memory: new (size: object) => { buffer: SharedArrayBuffer } };
};

/** The place of a body in the thread's memory. */
export interface Lane {
  readonly stateAt: number;
  readonly bufferAts: readonly number[];
  /** Of the buffers, how many were filled, how many of those are the thread's, and what is in the one that fills. */
  filled: number;
  given: number;
  bytes: number;
  totalBytes: number;
  /** Of each job that it had a buffer in: its number. A buffer can be filled again when the job before the last lap is over. */
  readonly jobs: number[];
}

/**
 * MD5 of several bodies in a thread of its own, two at a time: their bytes are copied into memory that is shared with it,
 * and it is told of 256 KiB of one body and as many of another as one job.
 */
export class Md5Thread {
  /** Set when the thread is gone: whoever still waits for it gets this. */
  failure: Error | undefined;

  readonly #words: Int32Array;
  readonly #bytes: Buffer;
  readonly #worker: Worker;
  readonly #free: Lane[] = [];
  /** Lanes of bodies that may have more to give; those with a full buffer that waits are among them. */
  readonly #active = new Set<Lane>();
  #written = 0;
  #waiting = 0;
  #progress: Promise<unknown> | undefined;

  constructor() {
    const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
    this.#words = new Int32Array(memory.buffer);
    this.#bytes = Buffer.from(memory.buffer);
    for (let i = LANES - 1; i >= 0; i--) this.#free.push(laneAt(i));
    this.#worker = new Worker(PROGRAM, { eval: true, workerData: { memory, module: md5Module(PAGES) } });
    this.#worker.on("error", (error) => this.#fail(error));
    this.#worker.on("exit", () => this.#fail(new Error("the hashing thread has ended")));
    this.#worker.unref();
  }

  /** A lane for a new body, until finish() or abandon(); undefined: there is none, or no thread. */
  begin(): Lane | undefined {
    const lane = this.failure === undefined ? this.#free.pop() : undefined;
    if (lane === undefined) return undefined;
    Object.assign(lane, { filled: 0, given: 0, bytes: 0, totalBytes: 0 });
    lane.jobs.length = 0;
    this.#words.set(MD5_START, lane.stateAt / 4);
    this.#active.add(lane);
    return lane;
  }

  /** @returns a promise only where the bytes had to wait for room; they are copied when it has settled */
  update(lane: Lane, bytes: Uint8Array): void | Promise<void> {
    const taken = this.#take(lane, bytes, 0);
    if (taken < bytes.length) return this.#takeRest(lane, bytes, taken);
  }

  /** @returns the digest in hex */
  async finish(lane: Lane): Promise<string> {
    while (!this.#hasRoom(lane)) await this.#nextJob();
    this.#active.delete(lane);
    while (lane.given < lane.filled) this.#giveAlone(lane);
    const blocks = this.#pad(lane);
    const last = this.#give([lane.stateAt, bufferOf(lane), 0, 0, blocks]);
    while (!this.#isOver(last)) await this.#nextJob();
    const digest = this.#bytes.toString("hex", lane.stateAt, lane.stateAt + MD5_STATE_BYTES);
    this.#free.push(lane);
    return digest;
  }

  /** Forgets a body that ended early. Settles when the thread has let go of its bytes. */
  async abandon(lane: Lane): Promise<void> {
    this.#active.delete(lane);
    while (!lane.jobs.every((job) => this.#isOver(job))) await this.#nextJob();
    this.#free.push(lane);
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  async #takeRest(lane: Lane, bytes: Uint8Array, from: number): Promise<void> {
    for (let at = from; at < bytes.length; at += this.#take(lane, bytes, at))
      while (!this.#hasRoom(lane)) await this.#nextJob();
  }

  /** As many of bytes[from...] as there is room for. */
  #take(lane: Lane, bytes: Uint8Array, from: number): number {
    let taken = from;
    while (taken < bytes.length && this.#hasRoom(lane)) {
      const piece = bytes.subarray(taken, taken + BUFFER_BYTES - lane.bytes);
      const at = bufferOf(lane) + lane.bytes;
      // A copy; set() into shared memory goes byte by byte where source and target are not aligned alike.
      this.#bytes.fill(piece, at, at + piece.length);
      taken += piece.length;
      lane.bytes += piece.length;
      lane.totalBytes += piece.length;
      if (lane.bytes < BUFFER_BYTES) continue;
      lane.bytes = 0;
      lane.filled++;
      this.#giveFull(lane);
    }
    return taken - from;
  }

  /** Its newest buffer is full: it goes with one of another body that waits, or waits for one. */
  #giveFull(lane: Lane): void {
    for (const other of this.#active) {
      if (other === lane || other.given === other.filled) continue;
      const [at, otherAt] = [bufferOf(lane, lane.given), bufferOf(other, other.given)];
      const job = this.#give([lane.stateAt, at, other.stateAt, otherAt, BUFFER_BYTES / MD5_BLOCK_BYTES]);
      for (const each of [lane, other]) each.jobs[each.given++ % BUFFERS] = job;
      return;
    }
    if (this.#active.size === 1 || lane.filled - lane.given >= PATIENCE) this.#giveAlone(lane);
  }

  #giveAlone(lane: Lane): void {
    const at = bufferOf(lane, lane.given);
    lane.jobs[lane.given++ % BUFFERS] = this.#give([lane.stateAt, at, 0, 0, BUFFER_BYTES / MD5_BLOCK_BYTES]);
  }

  /** The number of the job. There is room for it: no more can be under way than there are buffers. */
  #give(job: readonly number[]): number {
    this.#words.set(job, FIRST_JOB + ((this.#written >>> 0) % JOBS) * JOB_WORDS);
    this.#written = (this.#written + 1) | 0;
    Atomics.store(this.#words, WRITTEN, this.#written);
    Atomics.notify(this.#words, WRITTEN);
    return this.#written;
  }

  /** What follows a body's last bytes (RFC 1321, 3.1 and 3.2). @returns the blocks of the last buffer then */
  #pad(lane: Lane): number {
    const start = bufferOf(lane);
    const end = Math.ceil((lane.bytes + 9) / MD5_BLOCK_BYTES) * MD5_BLOCK_BYTES;
    this.#bytes.fill(0, start + lane.bytes, start + end);
    this.#bytes[start + lane.bytes] = 0x80;
    this.#bytes.writeBigUInt64LE(BigInt(lane.totalBytes) * 8n, start + end - 8);
    return end / MD5_BLOCK_BYTES;
  }

  /** The buffer that fills now is not the thread's any more. */
  #hasRoom(lane: Lane): boolean {
    if (this.failure !== undefined) throw this.failure;
    if (lane.filled - lane.given >= BUFFERS) return false;
    return lane.filled < BUFFERS || this.#isOver(lane.jobs[lane.filled % BUFFERS] as number);
  }

  #isOver(job: number): boolean {
    if (this.failure !== undefined) throw this.failure;
    return ((Atomics.load(this.#words, TAKEN) - job) | 0) >= 0;
  }

  /** Settles when the thread has done one more job. One wait for all: a wake-up costs as much as the hashing of 4 KiB. */
  async #nextJob(): Promise<void> {
    // A worker that is unref'd would let the process end before its answer.
    if (this.#waiting++ === 0) this.#worker.ref();
    try {
      this.#progress ??= this.#oneMoreJob().finally(() => {
        this.#progress = undefined;
      });
      await this.#progress;
    } finally {
      if (--this.#waiting === 0) this.#worker.unref();
    }
  }

  async #oneMoreJob(): Promise<void> {
    const taken = Atomics.load(this.#words, TAKEN);
    if (taken === this.#written || this.failure !== undefined) return;
    await waitAsync(this.#words, TAKEN, taken).value;
  }

  #fail(error: Error): void {
    if (this.failure) return;
    this.failure = error;
    // Wakes who waits for it.
    Atomics.notify(this.#words, TAKEN);
  }
}

function laneAt(i: number): Lane {
  const bufferAts = Array.from({ length: BUFFERS }, (_, k) => BUFFERS_AT + (i * BUFFERS + k) * STRIDE);
  const counts = { filled: 0, given: 0, bytes: 0, totalBytes: 0 };
  return { stateAt: STATES_AT + i * MD5_STATE_BYTES, bufferAts, ...counts, jobs: [] };
}

/** Where the n-th buffer that the lane fills lies; without a number the one that fills now. */
const bufferOf = (lane: Lane, n = lane.filled): number => lane.bufferAts[n % BUFFERS] as number;
