import { type FileHandle, open } from "node:fs/promises";

const BLOCK_BYTES = 4096;

/** Writes numbered blocks to a file, one after the other, each on disk before the next; knows which were acknowledged. */
export class LoggedWriter {
  acknowledged = 0;
  #stopping = false;
  readonly #path: string;
  #ended: Promise<void> | undefined;
  failure: unknown;

  constructor(path: string) {
    this.#path = path;
  }

  async start(): Promise<void> {
    const file = await open(this.#path, "w");
    this.#ended = this.#write(file).catch((error: unknown) => {
      this.failure = error;
    });
  }

  async #write(file: FileHandle): Promise<void> {
    try {
      for (let number = 0; !this.#stopping; number++) {
        await file.write(blockOf(number), 0, BLOCK_BYTES, number * BLOCK_BYTES);
        await file.datasync();
        this.acknowledged = number + 1;
      }
    } finally {
      await file.close();
    }
  }

  /** Settles once so many more blocks were acknowledged than when it was called. */
  async more(blocks: number): Promise<void> {
    const wanted = this.acknowledged + blocks;
    while (this.acknowledged < wanted) {
      if (this.failure !== undefined) throw this.failure;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Settles when the write that is under way was acknowledged. @throws what a write threw */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#ended;
    if (this.failure !== undefined) throw this.failure;
  }

  /** The numbers of acknowledged blocks that `path` does not have as they were written. */
  async lost(path = this.#path): Promise<number[]> {
    const file = await open(path, "r");
    try {
      const lost: number[] = [];
      for (let number = 0; number < this.acknowledged; number++) {
        const buffer = Buffer.alloc(BLOCK_BYTES);
        await file.read(buffer, 0, BLOCK_BYTES, number * BLOCK_BYTES);
        if (!buffer.equals(blockOf(number))) lost.push(number);
      }
      return lost;
    } finally {
      await file.close();
    }
  }
}

function blockOf(number: number): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES, number % 251);
  block.writeUInt32LE(number);
  return block;
}
