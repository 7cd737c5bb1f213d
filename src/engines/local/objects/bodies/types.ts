import type { BodyDigest, BodySource } from "../../../object-engine.js";

/**
 * Names a body for ever: `generation * BODIES_PER_GENERATION + slot`. A safe integer, so it is a key and a field of
 * metadata as it stands. Neither generations nor slots are used twice. 0 is no body.
 */
export type BodyId = number;

/** What one folder holds at most. */
export const BODIES_PER_GENERATION = 4096;

export const generationOf = (bodyId: BodyId): number => Math.floor(bodyId / BODIES_PER_GENERATION);

export interface StoredBody {
  readonly bodyId: BodyId;
  readonly sizeBytes: number;
}

/**
 * Who gives folders to this process: the writer. A generation is recorded as open, durably, before lease() answers, and
 * while it is recorded so its folder may hold files that no metadata knows.
 */
export interface Generations {
  /** A generation that never was, 1 at least, for this process alone. */
  lease(): Promise<number>;
  /** Everything in its folder has a record now, durably, and nothing more will come: the writer forgets that it was open. */
  seal(generation: number): Promise<void>;
}

export interface WriteOptions {
  readonly signal: AbortSignal;
  /** The bucket's durability is relaxed: nothing is synced. */
  readonly relaxed?: boolean;
}

/**
 * Files of bodies. Crash model: a file lies in a leased generation before anyone can name it, and is visible only by the
 * metadata commit that follows write(). A crash leaves files without a record in open generations alone, where the sweep
 * finds them.
 */
export interface BodyStore {
  /**
   * Takes the bytes, calls source.finish() after the last one, and settles when all is on disk. Whatever fails, finish()
   * included, nothing is left. Each write ends in keep() or discard(); of a commit whose outcome is not known, in neither:
   * the sweep decides after this process has ended.
   *
   * @throws StorageError storage-full, read-only, damaged (the disk failed), busy (no memory for one more); cancelled
   *   when the signal fires; invalid-argument when the bytes are fewer or more than source.lengthBytes; what the source throws
   */
  write(source: BodySource, options: WriteOptions): Promise<StoredBody & { readonly digest: BodyDigest }>;
  /** Metadata names it now. */
  keep(bodyId: BodyId): void;
  /** Metadata refused it. Does not fail: what cannot be removed now is left to the sweep. */
  discard(bodyId: BodyId): Promise<void>;
  /**
   * Costs nothing before the first read. The caller sees to it that the body is not collected before close().
   *
   * @param onDamaged told of damage in place of the store's own listener
   */
  open(body: StoredBody, onDamaged?: () => void): OpenBody;
  /** Settles when no write is under way; generations in which nothing is unsettled are sealed. */
  close(): Promise<void>;
}

export interface OpenBody {
  /**
   * Bytes [offset, offset + length) within the body, each chunk verified before any of it is given out. A Buffer that is
   * given out belongs to the caller until it asks for the next one (or returns).
   *
   * @throws StorageError damaged, also in the middle
   */
  read(offsetBytes: number, lengthBytes: number): AsyncIterable<Buffer>;
  /** After it, or during an iteration, which then ends in an error. May be called twice. */
  close(): void;
}

/** What the collector needs of the metadata. */
export interface Garbage {
  /**
   * At most `limit` bodies to which nothing refers and which no reader can still come to, ascending and higher than
   * `after`; [] when there is none now.
   */
  take(limit: number, after: BodyId): Promise<readonly BodyId[]>;
  /** Their files are gone, durably: forgets them in one commit. */
  forget(bodyIds: readonly BodyId[]): Promise<void>;
  /** Its folder may not be removed, even if it is empty. */
  isOpen(generation: number): boolean;
}

/** What the sweep needs of the metadata. */
export interface BodyRecords {
  /** Metadata has a record of this body: something refers to it, or it is garbage already. */
  has(bodyId: BodyId): boolean;
}

/** One version, or one part of an unfinished upload, as scrub looks at it. */
export interface ScrubItem {
  readonly bucket: string;
  readonly key: string;
  readonly versionId: string;
  readonly sizeBytes: number;
  /** Verifies what lies in the metadata itself: the problem, or undefined. */
  inline(): string | undefined;
  readonly bodies: readonly StoredBody[];
  /** It is still there as it was. A damaged body of a version that was deleted meanwhile is no finding. */
  current(): boolean;
  /** Lets its bodies be collected. */
  close(): void;
}

export interface ScrubSource {
  readonly totalObjects: number;
  items(): AsyncIterable<ScrubItem> | Iterable<ScrubItem>;
}
