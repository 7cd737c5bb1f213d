import { Worker } from "node:worker_threads";

const SLOT_BYTES = 64 * 1024;
const SLOTS = 32;
/** Words of the control block: how many entries were written, how many taken; then two words an entry. */
const [WRITTEN, TAKEN, ENTRIES] = [0, 1, 2];
/** In place of an entry's length. */
const [FINISH, ABANDON] = [-1, -2];
/** So many entries are taken between two wake-ups of a sender that waits for room. */
const STRIDE = 8;

/**
 * The thread's program. It sleeps on the count of written entries, hashes each entry's slot for its body, and tells a
 * body's digest when its last entry comes. As text, since a file of its own would have to be found by whatever loader or
 * bundle this runs in.
 */
const PROGRAM = `
const { createHash } = require("node:crypto");
const { parentPort, workerData } = require("node:worker_threads");
const words = new Int32Array(workerData.words);
const slots = Buffer.from(workerData.slots);
const bodies = new Map();
let taken = 0;
for (;;) {
  Atomics.wait(words, ${WRITTEN}, taken);
  for (const written = Atomics.load(words, ${WRITTEN}); taken !== written; ) {
    const slot = (taken >>> 0) % ${SLOTS};
    const body = words[${ENTRIES} + slot * 2];
    const length = words[${ENTRIES} + slot * 2 + 1];
    let hash = bodies.get(body);
    if (!hash) bodies.set(body, hash = createHash("md5"));
    if (length >= 0) hash.update(slots.subarray(slot * ${SLOT_BYTES}, slot * ${SLOT_BYTES} + length));
    else bodies.delete(body);
    if (length === ${FINISH}) parentPort.postMessage({ body, md5: hash.digest("hex") });
    taken = (taken + 1) | 0;
    Atomics.store(words, ${TAKEN}, taken);
    if (taken % ${STRIDE} === 0 || taken === written) Atomics.notify(words, ${TAKEN});
  }
}
`;

// TypeScript's lib of the year has no waitAsync; Node 20 has it.
const { waitAsync } = Atomics as unknown as {
  waitAsync(words: Int32Array, index: number, value: number): { async: boolean; value: Promise<string> | string };
};

interface Waiting {
  resolve(md5: string): void;
  reject(error: Error): void;
}

/** MD5 of several bodies in a thread of its own: bytes are copied into a ring of slots that it hashes from. */
export class Md5Thread {
  /** Set when the thread is gone: whoever still waits for it gets this. */
  failure: Error | undefined;

  private readonly words = new Int32Array(new SharedArrayBuffer((ENTRIES + SLOTS * 2) * 4));
  private readonly slots = new Uint8Array(new SharedArrayBuffer(SLOTS * SLOT_BYTES));
  private readonly waiting = new Map<number, Waiting>();
  private readonly worker: Worker;
  private written = 0;
  private lastBody = 0;
  private room: Promise<unknown> | undefined;

  constructor() {
    const workerData = { words: this.words.buffer, slots: this.slots.buffer };
    this.worker = new Worker(PROGRAM, { eval: true, workerData });
    this.worker.on("message", ({ body, md5 }: { body: number; md5: string }) => {
      this.waiting.get(body)?.resolve(md5);
      this.waiting.delete(body);
    });
    this.worker.on("error", (error) => this.fail(error));
    this.worker.on("exit", () => this.fail(new Error("the hashing thread has ended")));
    this.worker.unref();
  }

  /** It keeps up with what it was given: half of its slots are free. */
  get isKeepingUp(): boolean {
    return this.failure === undefined && this.used() < SLOTS / 2;
  }

  /** A number for a new body. */
  begin(): number {
    this.lastBody = (this.lastBody + 1) | 0;
    return this.lastBody;
  }

  /** @returns a promise only where the bytes had to wait for room; they are copied when it has settled */
  update(body: number, bytes: Uint8Array): void | Promise<void> {
    if (bytes.length > SLOT_BYTES || this.isFull()) return this.updateInTurns(body, bytes);
    this.put(body, bytes);
  }

  async finish(body: number): Promise<string> {
    while (this.isFull()) await this.someRoom();
    // A worker that is unref'd would let the process end before its answer.
    this.worker.ref();
    try {
      return await new Promise<string>((resolve, reject) => {
        this.waiting.set(body, { resolve, reject });
        this.publish(body, FINISH);
      });
    } finally {
      if (this.waiting.size === 0) this.worker.unref();
    }
  }

  /** Forgets a body that ended early. */
  async abandon(body: number): Promise<void> {
    while (this.isFull()) await this.someRoom();
    this.publish(body, ABANDON);
  }

  async close(): Promise<void> {
    await this.worker.terminate();
  }

  private async updateInTurns(body: number, bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += SLOT_BYTES) {
      while (this.isFull()) await this.someRoom();
      this.put(body, bytes.subarray(at, at + SLOT_BYTES));
    }
  }

  private put(body: number, bytes: Uint8Array): void {
    this.slots.set(bytes, ((this.written >>> 0) % SLOTS) * SLOT_BYTES);
    this.publish(body, bytes.length);
  }

  private publish(body: number, length: number): void {
    const entry = ENTRIES + ((this.written >>> 0) % SLOTS) * 2;
    this.words[entry] = body;
    this.words[entry + 1] = length;
    this.written = (this.written + 1) | 0;
    Atomics.store(this.words, WRITTEN, this.written);
    Atomics.notify(this.words, WRITTEN);
  }

  private used(): number {
    return (this.written - Atomics.load(this.words, TAKEN)) | 0;
  }

  /** To be asked right before an entry is written: after any wait another body may have taken the room. */
  private isFull(): boolean {
    if (this.failure !== undefined) throw this.failure;
    return this.used() >= SLOTS;
  }

  /** One wait for all who need room: each wake-up of its own costs more than the hashing of a slot. */
  private someRoom(): Promise<unknown> {
    if (!this.room) {
      const taken = Atomics.load(this.words, TAKEN);
      if (this.used() < SLOTS) return Promise.resolve();
      const { value } = waitAsync(this.words, TAKEN, taken);
      this.room = Promise.resolve(value).finally(() => {
        this.room = undefined;
      });
    }
    return this.room;
  }

  private fail(error: Error): void {
    if (this.failure) return;
    this.failure = error;
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
    // Wakes who waits for room.
    Atomics.notify(this.words, TAKEN);
  }
}
