import { xxh64Module } from "./xxh64-module.js";

const PAGE_BYTES = 64 * 1024;

/** See xxh64-module.ts. Addresses are bytes from the memory's start. */
interface Hasher {
  seal(at: number, length: number, idHigh: number, idLow: number, index: number, out: number): void;
  check(at: number, length: number, idHigh: number, idLow: number, index: number, expected: number): number;
}

/** Memory that is hashed where it lies. Its pages take room when they are first used. */
export class HashedMemory {
  readonly #bytes: ArrayBuffer;
  readonly #hasher: Hasher;

  constructor(bytes: number) {
    const pages = Math.ceil(bytes / PAGE_BYTES);
    // lib.es2023 knows no WebAssembly; Node does.
    const { WebAssembly } = globalThis as unknown as {
      WebAssembly: {
        Memory: new (size: { initial: number; maximum: number }) => { buffer: ArrayBuffer };
        Module: new (bytes: Uint8Array) => object;
        Instance: new (module: object, imports: object) => { exports: unknown };
      };
    };
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const instance = new WebAssembly.Instance(new WebAssembly.Module(xxh64Module()), { env: { memory } });
    this.#bytes = memory.buffer;
    this.#hasher = instance.exports as Hasher;
  }

  view(at: number, length: number): Buffer {
    return Buffer.from(this.#bytes, at, length);
  }

  /** Stores the 8 bytes of the hash of [at, at + length), as piece `index` of `id`, at `out`. */
  seal(at: number, length: number, id: number, index: number, out: number): void {
    this.#hasher.seal(at, length, high(id), id | 0, index, out);
  }

  /** The 8 bytes at `expected` are that hash. */
  check(at: number, length: number, id: number, index: number, expected: number): boolean {
    return this.#hasher.check(at, length, high(id), id | 0, index, expected) === 1;
  }
}

const high = (id: number): number => Math.floor(id / 2 ** 32);
