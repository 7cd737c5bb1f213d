import { invalid, refused, StorageError } from "../../../errors/storage-error.js";
import type { Bucket, BucketUsage } from "../../../model/bucket.js";
import type { Context } from "../../types.js";
import { upstreamBucket } from "../bucket-book.js";
import { textOf, type UpstreamClient } from "../client.js";
import { failureOfAnswer } from "../failures.js";

const MAX_NAME = 63;

/** The buckets upstream that have the objects of ours. Every call may be repeated. */
export class UpstreamBuckets {
  readonly #client: UpstreamClient;
  readonly #prefix: string;

  constructor(client: UpstreamClient, prefix: string) {
    this.#client = client;
    this.#prefix = prefix;
  }

  name(bucket: string): string {
    return upstreamBucket(this.#prefix, bucket);
  }

  /** @throws StorageError invalid-argument where the upstream could have no such bucket */
  checkName(bucket: string): void {
    const most = MAX_NAME - this.#prefix.length;
    if (bucket.length > most)
      throw invalid(
        `bucket name ${JSON.stringify(bucket)}: with the upstream's prefix ${JSON.stringify(this.#prefix)}, ${most} characters are possible`,
      );
  }

  /**
   * Makes the bucket, or takes an empty one of the same user's that is there: what a crash left.
   *
   * @throws StorageError bucket-exists where it is another user's; failed-precondition where it holds something
   */
  async create(ctx: Context, bucket: Bucket): Promise<void> {
    await this.make(ctx, this.name(bucket.name));
    if (!(await this.isEmpty(ctx, bucket.name)))
      throw new StorageError(
        "failed-precondition",
        `the upstream bucket ${this.name(bucket.name)} is there already and holds objects, but no record says that it is Granary's`,
      );
    await this.setVersioning(ctx, bucket);
  }

  /** By its upstream name. There already is fine, where it is this user's. */
  async make(ctx: Context, name: string): Promise<void> {
    const { region } = this.#client.settings;
    // Ceph takes no location, and few others; Amazon wants one everywhere but in us-east-1.
    let refusal: StorageError | undefined;
    for (const body of [Buffer.alloc(0), Buffer.from(location(region))]) {
      const request = { method: "PUT", bucket: name, body } as const;
      const answer = await this.#client.send(ctx, request);
      const text = await textOf(answer);
      if (answer.status === 200 || text.includes("<Code>BucketAlreadyOwnedByYou</Code>")) return;
      refusal ??= failureOfAnswer(request, answer.status, text);
      if (!text.includes("LocationConstraint")) break;
    }
    throw refusal;
  }

  /** Once versions are kept upstream, they can be suspended and never turned off: a bucket that is "off" was never on. */
  async setVersioning(ctx: Context, { name, versioning }: Bucket): Promise<void> {
    if (versioning === "off") return;
    const status = versioning === "enabled" ? "Enabled" : "Suspended";
    const text = `<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>${status}</Status></VersioningConfiguration>`;
    const request = {
      method: "PUT",
      bucket: this.name(name),
      query: { versioning: "" },
      body: Buffer.from(text),
    } as const;
    await this.#client.run(ctx, request, 200);
  }

  /** @throws bucket-not-empty */
  async checkEmpty(ctx: Context, name: string): Promise<void> {
    if (!(await this.isEmpty(ctx, name)))
      throw refused("bucket-not-empty", `bucket ${name} holds objects, versions, delete markers or unfinished uploads`);
  }

  async isEmpty(ctx: Context, name: string): Promise<boolean> {
    const versions = await this.#list(ctx, name, { versions: "", "max-keys": "1" });
    if (/<(Version|DeleteMarker)>/.test(versions)) return false;
    return !(await this.#list(ctx, name, { uploads: "", "max-uploads": "1" })).includes("<Upload>");
  }

  async #list(ctx: Context, name: string, query: Record<string, string>): Promise<string> {
    return textOf(await this.#client.expect(ctx, { method: "GET", bucket: this.name(name), query }, 200));
  }

  /** Gone already is fine. @throws bucket-not-empty */
  async delete(ctx: Context, name: string): Promise<void> {
    await this.#client.run(ctx, { method: "DELETE", bucket: this.name(name) }, 204, 404);
  }

  /**
   * What Ceph tells of a bucket in the headers of its HEAD, or undefined: of another service. Parts of unfinished uploads
   * count among the objects, delete markers do not.
   */
  async quickUsage(ctx: Context, name: string): Promise<{ objects: number; bytes: number } | undefined> {
    const { headers } = await this.#client.run(ctx, { method: "HEAD", bucket: this.name(name) }, 200);
    const [objects, bytes] = [Number(headers["x-rgw-object-count"]), Number(headers["x-rgw-bytes-used"])];
    return Number.isFinite(objects) && Number.isFinite(bytes) ? { objects, bytes } : undefined;
  }

  /** Exact. Where versions are kept, or the upstream is not Ceph, it costs as a listing of all versions does. */
  async usage(ctx: Context, { name, versioning }: Pick<Bucket, "name" | "versioning">): Promise<BucketUsage> {
    const unfinished = await this.#unfinished(ctx, name);
    const quick = versioning === "off" ? await this.quickUsage(ctx, name) : undefined;
    const { uploads, parts, partBytes } = unfinished;
    // The two were not asked at one moment: a part that came between them must not make a negative count.
    if (quick) return { objects: Math.max(0, quick.objects - parts), bytes: quick.bytes, deleteMarkers: 0, uploads };
    const versions = await this.#versions(ctx, name);
    return { ...versions, bytes: versions.bytes + partBytes, uploads };
  }

  async #versions(ctx: Context, name: string) {
    const found = { objects: 0, bytes: 0, deleteMarkers: 0 };
    let markers: Record<string, string> = {};
    for (let more = true; more; ) {
      const page = await this.#list(ctx, name, { versions: "", "encoding-type": "url", ...markers });
      for (const [, row = ""] of page.matchAll(/<Version>(.*?)<\/Version>/gs)) {
        found.objects += 1;
        found.bytes += Number(first(row, "Size"));
      }
      found.deleteMarkers += page.split("<DeleteMarker>").length - 1;
      more = first(page, "IsTruncated") === "true";
      markers = {
        "key-marker": decoded(first(page, "NextKeyMarker")),
        "version-id-marker": first(page, "NextVersionIdMarker"),
      };
    }
    return found;
  }

  async #unfinished(ctx: Context, name: string): Promise<{ uploads: number; parts: number; partBytes: number }> {
    const found = { uploads: 0, parts: 0, partBytes: 0 };
    let markers: Record<string, string> = {};
    for (let more = true; more; ) {
      const page = await this.#list(ctx, name, { uploads: "", "encoding-type": "url", ...markers });
      for (const [, row = ""] of page.matchAll(/<Upload>(.*?)<\/Upload>/gs)) {
        const sizes = await this.#partSizes(ctx, name, decoded(first(row, "Key")), first(row, "UploadId"));
        found.uploads += 1;
        found.parts += sizes.length;
        found.partBytes += sizes.reduce((sum, bytes) => sum + bytes, 0);
      }
      more = first(page, "IsTruncated") === "true";
      markers = {
        "key-marker": decoded(first(page, "NextKeyMarker")),
        "upload-id-marker": first(page, "NextUploadIdMarker"),
      };
    }
    return found;
  }

  async #partSizes(ctx: Context, name: string, key: string, uploadId: string): Promise<number[]> {
    const sizes: number[] = [];
    let marker: Record<string, string> = {};
    for (let more = true; more; ) {
      const request = { method: "GET", bucket: this.name(name), key, query: { uploadId, ...marker } } as const;
      const answer = await this.#client.send(ctx, request);
      const page = await textOf(answer);
      // Completed or aborted meanwhile.
      if (answer.status === 404) return [];
      if (answer.status !== 200) throw failureOfAnswer(request, answer.status, page);
      for (const [, row = ""] of page.matchAll(/<Part>(.*?)<\/Part>/gs)) sizes.push(Number(first(row, "Size")));
      more = first(page, "IsTruncated") === "true";
      marker = { "part-number-marker": first(page, "NextPartNumberMarker") };
    }
    return sizes;
  }
}

const location = (region: string) =>
  `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>${region}</LocationConstraint></CreateBucketConfiguration>`;

/** The text of the first element of this name, "" where there is none. The upstream was asked to encode keys. */
function first(text: string, name: string): string {
  const start = text.indexOf(`<${name}>`);
  if (start === -1) return "";
  const from = start + name.length + 2;
  return text.slice(from, text.indexOf(`</${name}>`, from));
}

const decoded = (encoded: string): string => decodeURIComponent(encoded.replace(/\+/g, " "));
