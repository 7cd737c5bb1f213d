import { invalid, refused, type StorageError } from "../../errors/storage-error.js";
import { MAX_KEY_BYTES } from "../../model/object.js";
import type { BodySource } from "../object-engine.js";
import type { BucketBook } from "./bucket-book.js";
import { upstreamBucket } from "./bucket-book.js";
import type { UpstreamClient } from "./client.js";
import type { Leases } from "./leases.js";
import type { Marks } from "./marks.js";
import type { Notes } from "./notes.js";

/** What every method of the objects' half works with. */
export interface Place {
  readonly client: UpstreamClient;
  readonly book: BucketBook;
  readonly notes: Notes;
  readonly leases: Leases;
  readonly marks: Marks;
}

export const upstreamName = ({ client }: Place, bucket: string): string =>
  upstreamBucket(client.settings.prefix, bucket);

/** @throws key-too-long; invalid-argument for the one byte that Ceph takes for the end of a key, and refuses */
export function checkKey(key: string): void {
  const bytes = Buffer.byteLength(key);
  if (bytes > MAX_KEY_BYTES) throw refused("key-too-long", `the key has ${bytes} bytes: at most ${MAX_KEY_BYTES}`);
  if (key.includes("\0")) throw invalid("the upstream takes no key with a NUL byte in it");
}

/** @throws object-too-large where the declared length says so */
export function checkLength({ lengthBytes }: BodySource, limitBytes: number): void {
  if (lengthBytes !== undefined && lengthBytes > limitBytes) throw tooLarge(lengthBytes, limitBytes);
}

export const tooLarge = (bytes: number, limitBytes: number): StorageError =>
  refused("object-too-large", `${bytes} bytes: at most ${limitBytes} go in one request`);

/** Work on many at once, no more than so many at a time; in their order. */
export async function inTurns<T, R>(items: readonly T[], atOnce: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = new Array(items.length);
  let next = 0;
  const one = async () => {
    while (next < items.length) {
      const at = next++;
      results[at] = await work(items[at] as T);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, one));
  return results;
}
