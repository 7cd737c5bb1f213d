import type { Database, RootDatabase, RootDatabaseOptions } from "lmdb";
import type { VersionSummary } from "../../../model/object.js";
import { BUCKET_ID_BYTES } from "./keys.js";
import { decodeSummary } from "./records.js";

/** What a listing asks for: see ListRequest. */
export interface Shown {
  readonly prefix: string;
  readonly delimiter: string;
  readonly bucketOwnerId: string;
}

/** The common prefix that a key falls under: up to and with the first delimiter behind the prefix. */
export function commonPrefix(key: string, prefix: string, delimiter: string): string | undefined {
  if (delimiter === "") return undefined;
  const at = key.indexOf(delimiter, prefix.length);
  return at === -1 ? undefined : key.slice(0, at + delimiter.length);
}

/**
 * The table `objects` as listings read it: keys as text, and records decoded where LMDB hands them out, in place of two
 * buffers for each entry that would live for a microsecond. Of a key under a common prefix the record is not decoded.
 */
export class ListedObjects {
  readonly #table: Database<VersionSummary | undefined, Buffer>;
  #shown: Shown = { prefix: "", delimiter: "", bucketOwnerId: "" };
  /** lmdb-js reads an entry's key right before its value. */
  #key = "";

  constructor(root: RootDatabase<Buffer, Buffer>) {
    this.#table = root.openDB("objects", {
      keyEncoder: {
        writeKey(key: Buffer, target: Buffer, start: number): number {
          target.set(key, start);
          return start + key.length;
        },
        readKey: (target: Buffer, start: number, end: number): string => {
          this.#key = target.toString("utf8", start + BUCKET_ID_BYTES, end);
          return this.#key;
        },
      },
      encoder: {
        encode(): never {
          throw new Error("this view of the objects is for reading");
        },
        decode: (record: Buffer): VersionSummary | undefined => {
          const { prefix, delimiter, bucketOwnerId } = this.#shown;
          if (delimiter !== "" && this.#key.indexOf(delimiter, prefix.length) !== -1) return undefined;
          return decodeSummary(record, this.#key, true, bucketOwnerId);
        },
      },
      // Read from the options by lmdb-js, whose types have them for environments alone.
    } as RootDatabaseOptions);
  }

  /** Keys as text; no value: it falls under a common prefix. To be read to its end, or left, before the next is begun. */
  range(shown: Shown, start: Buffer, end: Buffer | undefined, limit: number) {
    this.#shown = shown;
    const range = this.#table.getRange({ start, ...(end ? { end } : {}), limit });
    return range as unknown as Iterable<{ readonly key: string; readonly value: VersionSummary | undefined }>;
  }
}
