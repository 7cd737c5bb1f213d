import { MAX_TABLE_KEY_BYTES } from "./keys.js";
import type { Table } from "./tables.js";

/**
 * A bound that LMDB takes. A prefix or marker that is longer than a key can be once it is escaped is cut: no key is as
 * long as what is left, so all lie on the same side of it.
 */
const possible = (bound: Buffer): Buffer =>
  bound.length > MAX_TABLE_KEY_BYTES ? bound.subarray(0, MAX_TABLE_KEY_BYTES) : bound;

/** A place in a table, within bounds. Closed by whoever opened it: it holds a read transaction. */
export class Cursor {
  readonly #table: Table;
  readonly #end: Buffer | undefined;
  readonly #keyOf: (tableKey: Buffer) => Buffer;
  #rows: Iterator<{ key: Buffer; value: Buffer }> | undefined;
  /** The row it stands at; undefined behind the last. `key`: as in the table `objects`. */
  row: { readonly key: Buffer; readonly tableKey: Buffer; readonly value: Buffer } | undefined;

  constructor(table: Table, start: Buffer, end: Buffer | undefined, keyOf: (tableKey: Buffer) => Buffer) {
    this.#table = table;
    this.#end = end && possible(end);
    this.#keyOf = keyOf;
    this.seek(start);
  }

  seek(start: Buffer): void {
    this.close();
    const range = this.#table.getRange({ start: possible(start), ...(this.#end ? { end: this.#end } : {}) });
    this.#rows = range[Symbol.iterator]();
    this.next();
  }

  next(): void {
    const next = this.#rows?.next();
    if (!next || next.done) {
      this.#rows = undefined;
      this.row = undefined;
    } else {
      const { key, value } = next.value;
      this.row = { key: this.#keyOf(key), tableKey: key, value };
    }
  }

  close(): void {
    this.#rows?.return?.();
    this.#rows = undefined;
    this.row = undefined;
  }
}
