import type { Bucket, BucketChange, BucketUsage, NewBucket } from "../model/bucket.js";
import type {
  Checksum,
  ChecksumAlgorithm,
  ObjectAttributes,
  ObjectPart,
  ObjectVersion,
  Pairs,
  Retention,
  Upload,
  VersionSummary,
} from "../model/object.js";
import type { Context } from "./types.js";

/** Decided by the engine at the moment of its commit: of many that race, one wins and the others get precondition-failed. */
export interface WritePreconditions {
  /** An ETag without quotes, or "*": the current version must be there and have it. On a missing key: no-such-key. */
  ifMatch?: string;
  /** "*": no current version may be there; or an ETag that it may not have. */
  ifNoneMatch?: string;
  ifMatchLastModifiedMs?: number;
  ifMatchSizeBytes?: number;
  /** ObjectVersion.generation of the version that the caller looked at; anything else is a conflict. */
  generation?: string;
  /** Of a delete that names a version: a conflict where that one is current now. */
  noncurrent?: true;
}

export interface BodyDigest {
  /** Hex MD5 of the bytes: the ETag of a PUT or of a part. */
  md5: string;
  checksum: Checksum;
}

/**
 * A body on its way in. One Buffer where it is whole already, else chunks of any size; a chunk belongs to the engine
 * only until it asks for the next one.
 */
export interface BodySource {
  readonly bytes: Buffer | AsyncIterable<Buffer>;
  /** What the caller declared, or undefined. The engine refuses what cannot fit before it reads. */
  readonly lengthBytes: number | undefined;
  /** Called once, after the last byte and before the commit. Throws when the bytes are not what was declared: nothing is kept. */
  finish(): BodyDigest | Promise<BodyDigest>;
}

/** Names a version. Without versionId: the current one. */
export interface VersionRef {
  bucket: string;
  key: string;
  versionId?: string | undefined;
}

export interface PutObject {
  bucket: string;
  key: string;
  body: BodySource;
  attributes: ObjectAttributes;
  preconditions: WritePreconditions;
}

export interface CopyObject {
  /** What the gateway looked at and was allowed to read. Another version there now: conflict. */
  source: { bucket: string; key: string; versionId: string; generation: string };
  bucket: string;
  key: string;
  attributes: ObjectAttributes;
  preconditions: WritePreconditions;
  /** Given when it differs from the source's: the copy's own checksum or ETag, which the gateway computed from the bytes. */
  digest?: BodyDigest;
}

export interface DeleteObject extends VersionRef {
  preconditions: WritePreconditions;
  /** The caller may and does bypass governance retention. */
  bypassGovernance: boolean;
}

export interface DeleteOutcome {
  /** Of the delete marker that was made, or of the version that was removed; undefined where the bucket has no versions. */
  versionId: string | undefined;
  /** A delete marker was made, or was what got removed. */
  deleteMarker: boolean;
}

export interface VersionChange {
  tags?: Pairs;
  acl?: string | null;
  legalHold?: boolean;
  /** Null removes it. Shortening or removing is object-locked unless it is governance and `bypassGovernance`. */
  retention?: Retention | null;
  bypassGovernance?: boolean;
  /** ObjectVersion.generation of the version that the caller was allowed to change; anything else is a conflict. */
  generation?: string;
}

/** A version with its bytes held: they stay readable, whatever happens to the key, until close(). */
export interface OpenObject {
  readonly version: ObjectVersion;
  /** The parts of a multipart object, in order; [] for others. */
  parts(): Promise<readonly ObjectPart[]>;
  /**
   * Bytes [offset, offset + length), verified against the stored checksums before they are given out. One Buffer where
   * the engine has it at hand. A chunk of an iteration belongs to the caller only until it asks for the next one: by then
   * the socket must have taken it (the write's callback), as its memory is used again.
   *
   * @throws StorageError internal with reason damaged, also in the middle of the iteration
   */
  read(offsetBytes: number, lengthBytes: number): Buffer | AsyncIterable<Buffer>;
  close(): void;
}

export interface ListRequest {
  bucket: string;
  prefix: string;
  /** "" for none. */
  delimiter: string;
  /** Only keys and common prefixes after this one, in UTF-8 order; equal to a common prefix, it skips all that is under it. "" for the start. */
  after: string;
  /** At least 1. Keys and common prefixes count alike. */
  limit: number;
}

export type ListItem<T> = { prefix: string } | { entry: T };

export interface ListPage<T> {
  items: readonly ListItem<T>[];
  truncated: boolean;
}

export interface ListVersionsRequest extends Omit<ListRequest, "after"> {
  keyMarker: string;
  /** "" for all versions after keyMarker's key; else starts behind that version of keyMarker. */
  versionIdMarker: string;
}

export interface ListUploadsRequest extends Omit<ListRequest, "after"> {
  keyMarker: string;
  uploadIdMarker: string;
}

export interface NewUpload {
  bucket: string;
  key: string;
  initiatorId: string;
  attributes: ObjectAttributes;
  checksumAlgorithm: ChecksumAlgorithm | null;
  checksumType: "FULL_OBJECT" | "COMPOSITE";
}

export interface UploadRef {
  bucket: string;
  key: string;
  uploadId: string;
}

export interface PutPart extends UploadRef {
  partNumber: number;
  body: BodySource;
}

export interface CopyPart extends UploadRef {
  partNumber: number;
  source: CopyObject["source"];
  offsetBytes: number;
  lengthBytes: number;
  digest: BodyDigest;
}

export interface CompleteUpload extends UploadRef {
  /** In the caller's order: the engine refuses what is not ascending, not there, or too small. */
  parts: readonly { number: number; etag: string; checksum: string | null }[];
  preconditions: WritePreconditions;
  /**
   * Of the parts as they will stand: the gateway's rule for ETag and checksum of the whole; throws to refuse.
   * `retention`: what the version has instead of what its upload was begun with.
   */
  digest(
    parts: readonly ObjectPart[],
    upload: Upload,
  ): { etag: string; checksum: Checksum | null; retention?: Retention };
}

export interface RenameObject {
  bucket: string;
  from: string;
  to: string;
  fromPreconditions: WritePreconditions;
  toPreconditions: WritePreconditions;
}

export interface ScrubProgress {
  objects: number;
  bytes: number;
  /** How many objects there are to look at. */
  totalObjects: number;
  damaged: readonly { bucket: string; key: string; versionId: string; problem: string }[];
  done: boolean;
}

/**
 * Stores objects. It knows no XML, no headers and no signatures, and decides nothing about who may do what. Strict and
 * atomic: each call happens whole or not at all, and what it answered is durable. Every method throws StorageError with a
 * `reason`; no-such-bucket always comes first.
 */
export interface ObjectEngine {
  createBucket(ctx: Context, bucket: NewBucket): Promise<Bucket>;
  /** The bucket as it is now, or undefined. */
  bucket(ctx: Context, name: string): Promise<Bucket | undefined>;
  /** In name order, after `after`. `ownerId`: only that owner's. */
  buckets(ctx: Context, request: { prefix: string; after: string; limit: number; ownerId?: string }): Promise<Bucket[]>;
  /** `revision`: refuse with conflict when the bucket changed since. */
  changeBucket(ctx: Context, name: string, change: BucketChange, revision?: number): Promise<Bucket>;
  /** @throws bucket-not-empty while it holds a version, a delete marker or an unfinished upload */
  deleteBucket(ctx: Context, name: string): Promise<void>;
  usage(ctx: Context, name: string): Promise<BucketUsage>;

  put(ctx: Context, request: PutObject): Promise<ObjectVersion>;
  /** @throws no-such-key, no-such-version; invalid-argument for what was never a version id; delete-marker where the version is one (its `deleteMarker` says which) */
  head(ctx: Context, ref: VersionRef): Promise<ObjectVersion>;
  open(ctx: Context, ref: VersionRef): Promise<OpenObject>;
  /** A key that is not there is fine. */
  delete(ctx: Context, request: DeleteObject): Promise<DeleteOutcome>;
  /** Each on its own, in one commit. */
  deleteMany(ctx: Context, requests: readonly DeleteObject[]): Promise<(DeleteOutcome | Error)[]>;
  copy(ctx: Context, request: CopyObject): Promise<ObjectVersion>;
  rename(ctx: Context, request: RenameObject): Promise<void>;
  changeVersion(ctx: Context, ref: VersionRef, change: VersionChange): Promise<ObjectVersion>;

  list(ctx: Context, request: ListRequest): Promise<ListPage<VersionSummary>>;
  listVersions(ctx: Context, request: ListVersionsRequest): Promise<ListPage<VersionSummary>>;
  listUploads(ctx: Context, request: ListUploadsRequest): Promise<ListPage<Upload>>;

  createUpload(ctx: Context, request: NewUpload): Promise<Upload>;
  upload(ctx: Context, ref: UploadRef): Promise<Upload>;
  putPart(ctx: Context, request: PutPart): Promise<ObjectPart>;
  copyPart(ctx: Context, request: CopyPart): Promise<ObjectPart>;
  listParts(
    ctx: Context,
    ref: UploadRef,
    after: number,
    limit: number,
  ): Promise<{ parts: ObjectPart[]; truncated: boolean }>;
  /** Repeating it with the same parts answers the same version. */
  completeUpload(ctx: Context, request: CompleteUpload): Promise<ObjectVersion>;
  abortUpload(ctx: Context, ref: UploadRef): Promise<void>;

  /** Rereads every stored byte of a bucket, or of all, and compares it with its checksums. */
  scrub(ctx: Context, bucket: string | null): AsyncIterable<ScrubProgress>;
  /** @throws failed-precondition with the reason when the engine cannot serve */
  probe(ctx: Context): Promise<void>;
  close(): Promise<void>;
}
