import type { ObjectPart, ObjectVersion, Upload, VersionSummary } from "../../model/object.js";
import type {
  CompleteUpload,
  CopyObject,
  CopyPart,
  DeleteObject,
  DeleteOutcome,
  ListPage,
  ListRequest,
  ListUploadsRequest,
  ListVersionsRequest,
  NewUpload,
  ObjectEngine,
  OpenObject,
  PutObject,
  PutPart,
  RenameObject,
  ScrubProgress,
  UploadRef,
  VersionChange,
  VersionRef,
} from "../object-engine.js";
import type { Context } from "../types.js";
import { type BucketBook, reservedBucket } from "./bucket-book.js";
import { changeVersion } from "./changes.js";
import type { UpstreamClient } from "./client.js";
import { completeUpload } from "./complete.js";
import { copy, rename } from "./copies.js";
import { deleteMany, deleteOne } from "./deletes.js";
import { Leases } from "./leases.js";
import { listUploads } from "./list-uploads.js";
import { list, listVersions } from "./listing.js";
import { Marks } from "./marks.js";
import { Notes } from "./notes.js";
import type { Place } from "./place.js";
import { put } from "./put.js";
import { head, open } from "./reads.js";
import { scrub } from "./scrub.js";
import { abortUpload, copyPart, createUpload, listParts, putPart, upload } from "./uploads.js";

/** The engine's methods on objects. */
export type ObjectMethods = Omit<
  ObjectEngine,
  "createBucket" | "bucket" | "buckets" | "changeBucket" | "deleteBucket" | "usage"
>;

/**
 * Objects on an upstream S3 service: which file does what. One upstream bucket for each of ours, the same keys, the same
 * bytes. What we say of a version rides with it in a header (record.ts), or lies in the reserved bucket (notes.ts).
 *
 * What a crash leaves, and who is told what: a PUT that did not come to its end stores nothing. A note is written before what
 * it is of becomes visible and removed after that is gone, so what a gateway leaves that dies between is a note of nothing,
 * a few hundred bytes that nobody finds. An upload whose completion was not answered is completed by asking again. A lease
 * ends by its time. A rename is a copy and a delete: dying between leaves both names.
 */
export class UpstreamObjects implements ObjectMethods {
  readonly #place: Place;

  constructor(client: UpstreamClient, book: BucketBook) {
    const notes = new Notes(client);
    this.#place = { client, book, notes, leases: new Leases(notes), marks: new Marks(notes) };
  }

  put(ctx: Context, request: PutObject): Promise<ObjectVersion> {
    return put(this.#place, ctx, request);
  }

  head(ctx: Context, ref: VersionRef): Promise<ObjectVersion> {
    return head(this.#place, ctx, ref);
  }

  open(ctx: Context, ref: VersionRef): Promise<OpenObject> {
    return open(this.#place, ctx, ref);
  }

  delete(ctx: Context, request: DeleteObject): Promise<DeleteOutcome> {
    return deleteOne(this.#place, ctx, request);
  }

  deleteMany(ctx: Context, requests: readonly DeleteObject[]): Promise<(DeleteOutcome | Error)[]> {
    return deleteMany(this.#place, ctx, requests);
  }

  copy(ctx: Context, request: CopyObject): Promise<ObjectVersion> {
    return copy(this.#place, ctx, request);
  }

  rename(ctx: Context, request: RenameObject): Promise<void> {
    return rename(this.#place, ctx, request);
  }

  changeVersion(ctx: Context, ref: VersionRef, change: VersionChange): Promise<ObjectVersion> {
    return changeVersion(this.#place, ctx, ref, change);
  }

  list(ctx: Context, request: ListRequest): Promise<ListPage<VersionSummary>> {
    return list(this.#place, ctx, request);
  }

  listVersions(ctx: Context, request: ListVersionsRequest): Promise<ListPage<VersionSummary>> {
    return listVersions(this.#place, ctx, request);
  }

  listUploads(ctx: Context, request: ListUploadsRequest): Promise<ListPage<Upload>> {
    return listUploads(this.#place, ctx, request);
  }

  createUpload(ctx: Context, request: NewUpload): Promise<Upload> {
    return createUpload(this.#place, ctx, request);
  }

  upload(ctx: Context, ref: UploadRef): Promise<Upload> {
    return upload(this.#place, ctx, ref);
  }

  putPart(ctx: Context, request: PutPart): Promise<ObjectPart> {
    return putPart(this.#place, ctx, request);
  }

  copyPart(ctx: Context, request: CopyPart): Promise<ObjectPart> {
    return copyPart(this.#place, ctx, request);
  }

  listParts(ctx: Context, ref: UploadRef, after: number, limit: number) {
    return listParts(this.#place, ctx, ref, after, limit);
  }

  completeUpload(ctx: Context, request: CompleteUpload): Promise<ObjectVersion> {
    return completeUpload(this.#place, ctx, request);
  }

  abortUpload(ctx: Context, ref: UploadRef): Promise<void> {
    return abortUpload(this.#place, ctx, ref);
  }

  scrub(ctx: Context, bucket: string | null): AsyncIterable<ScrubProgress> {
    return scrub(this.#place, ctx, bucket);
  }

  /** @throws what the upstream says of the reserved bucket */
  async probe(ctx: Context): Promise<void> {
    const { client } = this.#place;
    await client.run(ctx, { method: "HEAD", bucket: reservedBucket(client.settings.prefix) }, 200);
  }

  async close(): Promise<void> {
    this.#place.client.close();
  }
}
