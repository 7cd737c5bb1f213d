import { randomFillSync } from "node:crypto";
import { refused } from "../../../../errors/storage-error.js";
import type { Bucket, BucketUsage } from "../../../../model/bucket.js";
import { bucketIdIn, decodeBucket, decodeUsage, encodeBucket, encodeUsage, MAX_NAME_BYTES } from "../bucket-records.js";
import { readU64 } from "../codec.js";
import { bucketIdKey, bucketIdOf, sequenceKey } from "../keys.js";
import { ID_RANDOM_BYTES } from "../records.js";
import { copyOf, type Tables } from "../tables.js";

/** A bucket as the writer knows it. */
export interface BucketState {
  readonly id: number;
  bucket: Bucket;
  usage: BucketUsage;
  usageChanged: boolean;
}

const SEQUENCE = Buffer.from("sequence");
const NEXT_BUCKET_ID = Buffer.from("nextBucketId");
const SEQUENCES_PER_MS = 1024;
const RANDOM_POOL_BYTES = 4096;

/**
 * What the operations of one commit work on. Each operation first looks and refuses, then changes; what it changes in
 * memory goes to the tables by end(), once for all operations of the commit.
 */
export class Store {
  readonly tables: Tables;
  /** The time of this commit. */
  nowMs = 0;
  #sequence: number;
  readonly #states = new Map<number, BucketState>();
  readonly #random = Buffer.allocUnsafe(RANDOM_POOL_BYTES);
  #randomAt = RANDOM_POOL_BYTES;

  constructor(tables: Tables) {
    this.tables = tables;
    this.#sequence = this.#storedSequence();
  }

  /** Within a transaction, before its first operation. */
  begin(): void {
    this.nowMs = Date.now();
  }

  /** Within the transaction, after its last operation. */
  end(): void {
    const { usage, state } = this.tables;
    for (const changed of this.#states.values()) {
      if (!changed.usageChanged) continue;
      usage.putSync(bucketIdKey(changed.id), encodeUsage(changed.usage));
      changed.usageChanged = false;
    }
    state.putSync(SEQUENCE, sequenceKey(this.#sequence));
  }

  /** After a transaction that did not commit: memory says again what the tables say. */
  reset(): void {
    this.#states.clear();
    this.#sequence = this.#storedSequence();
  }

  #storedSequence(): number {
    const stored = this.tables.state.getBinaryFast(SEQUENCE);
    return stored ? readU64(stored, 0) : 0;
  }

  /** The last that was given out. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Greater than every one before, also those of runs in which the clock was ahead. */
  nextSequence(): number {
    this.#sequence = Math.max(this.#sequence + 1, this.nowMs * SEQUENCES_PER_MS);
    return this.#sequence;
  }

  /** Of a version's or an upload's id. A copy. */
  random(): Buffer {
    if (this.#randomAt === RANDOM_POOL_BYTES) {
      randomFillSync(this.#random);
      this.#randomAt = 0;
    }
    const start = this.#randomAt;
    this.#randomAt += ID_RANDOM_BYTES;
    return Buffer.from(this.#random.subarray(start, this.#randomAt));
  }

  nextBucketId(): number {
    const stored = this.tables.state.getBinaryFast(NEXT_BUCKET_ID);
    const id = stored ? readU64(stored, 0) : 1;
    this.tables.state.putSync(NEXT_BUCKET_ID, sequenceKey(id + 1));
    return id;
  }

  /** The bucket of an object's key. @throws no-such-bucket */
  bucketOf(objectKey: Buffer): BucketState {
    const id = bucketIdOf(objectKey);
    const known = this.#states.get(id);
    if (known) return known;
    const name = copyOf(this.tables.bucketIds, bucketIdKey(id));
    const record = name && this.tables.buckets.getBinary(name);
    if (!record) throw refused("no-such-bucket", "the bucket is not there any more");
    return this.#remember(record);
  }

  /** @throws no-such-bucket */
  bucketNamed(name: string): BucketState {
    const record = this.bucketRecord(name);
    if (!record) throw refused("no-such-bucket", `bucket ${JSON.stringify(name)} is not there`);
    return this.#states.get(bucketIdIn(record)) ?? this.#remember(record);
  }

  bucketRecord(name: string): Buffer | undefined {
    const key = Buffer.from(name);
    return key.length === 0 || key.length > MAX_NAME_BYTES ? undefined : copyOf(this.tables.buckets, key);
  }

  #remember(record: Buffer): BucketState {
    const id = bucketIdIn(record);
    const usage = this.tables.usage.getBinaryFast(bucketIdKey(id));
    if (!usage) throw new Error(`bucket ${id} has no usage`);
    const state = { id, bucket: decodeBucket(record), usage: decodeUsage(usage), usageChanged: false };
    this.#states.set(id, state);
    return state;
  }

  addBucket(bucket: Bucket): void {
    const id = this.nextBucketId();
    this.putBucket(id, bucket);
    this.tables.bucketIds.putSync(bucketIdKey(id), Buffer.from(bucket.name));
    const usage = { objects: 0, bytes: 0, deleteMarkers: 0, uploads: 0 };
    this.#states.set(id, { id, bucket, usage, usageChanged: true });
  }

  putBucket(id: number, bucket: Bucket): void {
    this.tables.buckets.putSync(Buffer.from(bucket.name), encodeBucket(id, bucket));
    const state = this.#states.get(id);
    if (state) state.bucket = bucket;
  }

  removeBucket({ id, bucket }: BucketState): void {
    this.tables.buckets.removeSync(Buffer.from(bucket.name));
    this.tables.bucketIds.removeSync(bucketIdKey(id));
    this.tables.usage.removeSync(bucketIdKey(id));
    this.#states.delete(id);
  }

  use(state: BucketState, objects: number, bytes: number): void {
    state.usage.objects += objects;
    state.usage.bytes += bytes;
    state.usageChanged = true;
  }
}

/** @throws quota-exceeded where the bucket would hold more than it may, and more than it does */
export function checkQuota({ bucket, usage }: BucketState, moreObjects: number, moreBytes: number): void {
  if (bucket.quotaBytes !== null && moreBytes > 0 && usage.bytes + moreBytes > bucket.quotaBytes)
    throw refused(
      "quota-exceeded",
      `bucket ${bucket.name} may hold ${bucket.quotaBytes} bytes, holds ${usage.bytes}, and this needs ${moreBytes} more`,
    );
  if (bucket.quotaObjects !== null && moreObjects > 0 && usage.objects + moreObjects > bucket.quotaObjects)
    throw refused(
      "quota-exceeded",
      `bucket ${bucket.name} may hold ${bucket.quotaObjects} objects, and holds ${usage.objects}`,
    );
}
