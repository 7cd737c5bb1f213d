import type { VersionSummary } from "../../model/object.js";
import type { ObjectEngine } from "../object-engine.js";
import type { Context } from "../types.js";

const PAGE = 1000;

export interface KeyVersions {
  key: string;
  /** Oldest first: the order in which they are written again. */
  versions: readonly VersionSummary[];
}

/** Every key of a bucket with all its versions and delete markers, in the order of the keys' bytes. */
export async function* keysOf(ctx: Context, engine: ObjectEngine, bucket: string): AsyncGenerator<KeyVersions> {
  let found: VersionSummary[] = [];
  let [keyMarker, versionIdMarker] = ["", ""];
  for (;;) {
    ctx.signal.throwIfAborted();
    const request = { bucket, prefix: "", delimiter: "", keyMarker, versionIdMarker, limit: PAGE };
    const page = await engine.listVersions(ctx, request);
    for (const item of page.items) {
      if (!("entry" in item)) continue;
      const [first] = found;
      if (first !== undefined && first.key !== item.entry.key) {
        yield { key: first.key, versions: found.reverse() };
        found = [];
      }
      found.push(item.entry);
      [keyMarker, versionIdMarker] = [item.entry.key, item.entry.versionId];
    }
    if (!page.truncated || page.items.length === 0) break;
  }
  if (found[0] !== undefined) yield { key: found[0].key, versions: found.reverse() };
}

export interface KeyPair {
  key: string;
  source: readonly VersionSummary[];
  target: readonly VersionSummary[];
}

const inBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** The keys that either of two buckets has, each with both its lists. */
export async function* pairsOf(
  source: AsyncGenerator<KeyVersions>,
  target: AsyncGenerator<KeyVersions>,
): AsyncGenerator<KeyPair> {
  try {
    let [left, right] = await Promise.all([source.next(), target.next()]);
    while (!left.done || !right.done) {
      const order = left.done ? 1 : right.done ? -1 : inBytes(left.value.key, right.value.key);
      const at = order <= 0 ? left : right;
      yield {
        key: (at.value as KeyVersions).key,
        source: order <= 0 && !left.done ? left.value.versions : [],
        target: order >= 0 && !right.done ? right.value.versions : [],
      };
      if (order <= 0) left = await source.next();
      if (order >= 0) right = await target.next();
    }
  } finally {
    await Promise.all([source.return(undefined), target.return(undefined)]);
  }
}
