import { StorageError } from "../../../errors/storage-error.js";
import type { Bucket, BucketChange, BucketUsage, NewBucket } from "../../../model/bucket.js";
import type { ObjectPart, ObjectVersion, Upload, VersionSummary } from "../../../model/object.js";
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
} from "../../object-engine.js";
import type { Context } from "../../types.js";
import type { Access } from "./access.js";
import { scrubObjects } from "./bodies/scrub.js";
import { listObjects, listUploads, listVersions } from "./listing.js";
import * as reads from "./object-reads.js";
import * as writes from "./object-writes.js";
import { scrubSource } from "./scrub-source.js";
import * as uploads from "./uploads.js";

/** ObjectEngine over one process's access to the store: which file does what. */
export class LocalEngine implements ObjectEngine {
  readonly #access: Access;

  constructor(access: Access) {
    this.#access = access;
  }

  createBucket(ctx: Context, bucket: NewBucket): Promise<Bucket> {
    return this.#changed(bucket.name, this.#access.client.call("createBucket", bucket, ctx));
  }

  async bucket(_ctx: Context, name: string): Promise<Bucket | undefined> {
    this.#access.reader.refresh();
    return this.#access.reader.bucket(name)?.bucket;
  }

  async buckets(
    _ctx: Context,
    request: { prefix: string; after: string; limit: number; ownerId?: string },
  ): Promise<Bucket[]> {
    this.#access.reader.refresh();
    return this.#access.reader.buckets(request);
  }

  changeBucket(ctx: Context, name: string, change: BucketChange, revision?: number): Promise<Bucket> {
    const message = { name, change, revision: revision ?? null };
    return this.#changed(name, this.#access.client.call("changeBucket", message, ctx));
  }

  /** The reader's value, which is the same for all who ask. */
  async #changed(name: string, changing: Promise<Bucket>): Promise<Bucket> {
    const bucket = await changing;
    this.#access.reader.refresh();
    const known = this.#access.reader.bucket(name)?.bucket;
    return known?.revision === bucket.revision ? known : Object.freeze(bucket);
  }

  async deleteBucket(ctx: Context, name: string): Promise<void> {
    await this.#access.client.call("deleteBucket", { name }, ctx);
  }

  async usage(_ctx: Context, name: string): Promise<BucketUsage> {
    const { reader } = this.#access;
    reader.refresh();
    return reader.usage(reader.existingBucket(name));
  }

  put(ctx: Context, request: PutObject): Promise<ObjectVersion> {
    return writes.put(this.#access, ctx, request);
  }

  async head(_ctx: Context, ref: VersionRef): Promise<ObjectVersion> {
    return reads.head(this.#access, ref);
  }

  async open(_ctx: Context, ref: VersionRef): Promise<OpenObject> {
    return reads.open(this.#access, ref);
  }

  delete(ctx: Context, request: DeleteObject): Promise<DeleteOutcome> {
    return writes.deleteOne(this.#access, ctx, request);
  }

  deleteMany(ctx: Context, requests: readonly DeleteObject[]): Promise<(DeleteOutcome | Error)[]> {
    return writes.deleteMany(this.#access, ctx, requests);
  }

  copy(ctx: Context, request: CopyObject): Promise<ObjectVersion> {
    return writes.copy(this.#access, ctx, request);
  }

  rename(ctx: Context, request: RenameObject): Promise<void> {
    return writes.rename(this.#access, ctx, request);
  }

  changeVersion(ctx: Context, ref: VersionRef, change: VersionChange): Promise<ObjectVersion> {
    return writes.changeVersion(this.#access, ctx, ref, change);
  }

  async list(_ctx: Context, request: ListRequest): Promise<ListPage<VersionSummary>> {
    return this.#listed(request, listObjects);
  }

  async listVersions(_ctx: Context, request: ListVersionsRequest): Promise<ListPage<VersionSummary>> {
    return this.#listed(request, listVersions);
  }

  async listUploads(_ctx: Context, request: ListUploadsRequest): Promise<ListPage<Upload>> {
    return this.#listed(request, listUploads);
  }

  #listed<R extends { bucket: string }, T>(
    request: R,
    list: (tables: Access["reader"]["tables"], known: ReturnType<Access["reader"]["existingBucket"]>, request: R) => T,
  ): T {
    const { reader } = this.#access;
    reader.refresh();
    return list(reader.tables, reader.existingBucket(request.bucket), request);
  }

  createUpload(ctx: Context, request: NewUpload): Promise<Upload> {
    return uploads.createUpload(this.#access, ctx, request);
  }

  async upload(_ctx: Context, ref: UploadRef): Promise<Upload> {
    return uploads.upload(this.#access, ref);
  }

  putPart(ctx: Context, request: PutPart): Promise<ObjectPart> {
    return uploads.putPart(this.#access, ctx, request);
  }

  copyPart(ctx: Context, request: CopyPart): Promise<ObjectPart> {
    return uploads.copyPart(this.#access, ctx, request);
  }

  async listParts(_ctx: Context, ref: UploadRef, after: number, limit: number) {
    return uploads.listParts(this.#access, ref, after, limit);
  }

  completeUpload(ctx: Context, request: CompleteUpload): Promise<ObjectVersion> {
    return uploads.completeUpload(this.#access, ctx, request);
  }

  abortUpload(ctx: Context, ref: UploadRef): Promise<void> {
    return uploads.abortUpload(this.#access, ctx, ref);
  }

  scrub(ctx: Context, bucket: string | null): AsyncIterable<ScrubProgress> {
    const { reader, pins, bodies, bodiesDir, onDamaged } = this.#access;
    const options = { bodies, dir: bodiesDir, signal: ctx.signal, onDamaged };
    return scrubObjects(scrubSource(reader, pins, bucket), options);
  }

  async probe(ctx: Context): Promise<void> {
    try {
      await this.#access.client.call("ping", null, ctx);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw new StorageError("failed-precondition", `the object store cannot be written: ${message}`, { cause: error });
    }
  }

  async close(): Promise<void> {
    await this.#access.bodies.close();
    this.#access.client.close();
    await this.#access.reader.tables.root.close();
  }
}
