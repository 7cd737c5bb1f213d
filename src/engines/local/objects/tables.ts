import { mkdirSync } from "node:fs";
import { type Database, open, type RootDatabase } from "lmdb";
import { ListedObjects } from "./listed-objects.js";
import { metadataDir } from "./paths.js";

/**
 * Tables of the metadata: one LMDB environment, keys and values in bytes of our own (keys.ts, records.ts and their
 * neighbours), so that keys order as S3 wants them and a value costs what it holds.
 */
export type Table = Database<Buffer, Buffer>;

const NAMES = [
  /** Bucket name: id, revision, and what a Bucket holds. */
  "buckets",
  /** Bucket id: name. */
  "bucketIds",
  /** Bucket id: BucketUsage. Apart from the bucket, whose record is read far more often than it changes. */
  "usage",
  /** Bucket id and key: the current version's record, if it is an object. */
  "objects",
  /** Bucket id, escaped key and inverted sequence: noncurrent versions, and every delete marker. */
  "versions",
  /** Bucket id and key: the sequence of the null version where that lies in `versions`. */
  "nulls",
  /** Inline id: the bytes of a small body. */
  "inline",
  /** Inline id: the last bytes of a body that would else take one page more for them. */
  "inlineTails",
  /** Body id: how many segments lie in the body, and its size. */
  "bodies",
  /** Body id: files to unlink. */
  "garbage",
  /** Generation: its folder of body files may hold some that no record names. */
  "generations",
  /** Manifest id: its references; with a byte more: the parts and segments of a multipart object. */
  "manifests",
  /** Bucket id, escaped key and upload id: unfinished uploads. */
  "uploads",
  /** Upload id and part number: a part of an unfinished upload. */
  "parts",
  /** Upload id: what its completion answered, so that repeating it answers the same. */
  "completed",
  /** Sequence of a completion: its upload id, so that old ones are forgotten in order. */
  "completions",
  /** User name: revision, and what a User holds. */
  "users",
  /** A letter for the kind, and an access key, a user id or an email: the user's name. */
  "userIndex",
  /** The store's own few values. */
  "state",
] as const;

export type TableName = (typeof NAMES)[number];
export type Tables = Readonly<Record<TableName, Table>> & {
  readonly root: RootDatabase<Buffer, Buffer>;
  /** `objects` once more, for listings. */
  readonly listed: ListedObjects;
};

// Address space only: the file grows with what it holds. A map that never grows need never be laid out anew under readers.
const MAP_BYTES = 2 ** 42;
// Each process that reads has a few read transactions at most.
const MAX_READERS = 512;

/**
 * Opens the environment in `<dir>/meta`. `readOnly`: beside a writer, which has made the tables.
 *
 * Commits are synced before transactionSync answers: without overlappingSync LMDB writes and syncs the pages first and
 * the page that makes them visible after, so a crash at any point leaves the last commit, whole.
 */
export function openTables(dir: string, { readOnly }: { readOnly: boolean }): Tables {
  const path = metadataDir(dir);
  if (!readOnly) mkdirSync(path, { recursive: true, mode: 0o700 });
  const encoding = { encoding: "binary", keyEncoding: "binary" } as const;
  const root = open<Buffer, Buffer>({
    path,
    ...encoding,
    noSubdir: false,
    overlappingSync: false,
    mapSize: MAP_BYTES,
    maxDbs: NAMES.length + 4,
    maxReaders: MAX_READERS,
    readOnly,
  });
  const tables: Record<string, unknown> = { root };
  for (const name of NAMES) tables[name] = root.openDB<Buffer, Buffer>({ name, ...encoding });
  tables.listed = new ListedObjects(root);
  return tables as unknown as Tables;
}

/** A value of one's own: what getBinaryFast answers is overwritten by the next read. */
export function copyOf(table: Table, key: Buffer): Buffer | undefined {
  const value = table.getBinaryFast(key);
  if (value === undefined) return undefined;
  const own = Buffer.allocUnsafe(value.length);
  own.set(value.subarray(0, value.length));
  return own;
}
