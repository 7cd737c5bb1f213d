import { createHash, randomBytes } from "node:crypto";
import { buffer } from "node:stream/consumers";
import type { Client } from "minio";
import { messageOf } from "../errors/storage-error.js";
import { showSize } from "../model/size.js";
import { type DemoWorld, failure } from "./demo-world.js";

const MIB = 1024 * 1024;
const BUCKET = "photos";
const USER = "photographer";
const VIDEO = { key: "2026/summer/video.mp4", bytes: 16 * MIB };
const PHOTOS = { prefix: "2026/winter/", count: 12 };
const LINK_S = 60;

interface Shop {
  minio: Client;
  /** The SHA-256 of what lies under each key. */
  sums: Map<string, string>;
}

/** The object store, by the `minio` client: a user, a bucket, objects, a link, versions; then all of it is removed. */
export async function objectStore(world: DemoWorld): Promise<void> {
  world.screen.step("Objects: a user and a bucket, for any S3 client; here the minio one");
  const shop: Shop = { minio: await connect(world), sums: new Map() };
  await putAndGet(world, shop);
  await list(world, shop);
  await link(world, shop);
  await versions(world, shop);
  await remove(world, shop);
}

async function connect(world: DemoWorld): Promise<Client> {
  const made = await world.granary("user", "create", USER, "--policy", "readwrite", "-o", "json");
  const { accessKey, secretKey } = JSON.parse(made.stdout) as { accessKey: string; secretKey: string };
  const { hostname, port } = new URL(await world.s3Endpoint());
  // It is loaded by the demo alone: no other command waits for it.
  const { Client: MinioClient } = await import("minio");
  const minio = new MinioClient({ endPoint: hostname, port: Number(port), useSSL: false, accessKey, secretKey });
  await minio.makeBucket(BUCKET);
  await world.granary("bucket", "set", BUCKET, "--quota", "1Gi");
  world.screen.output((await world.granary("bucket", "list")).stdout);
  return minio;
}

async function putAndGet(world: DemoWorld, { minio, sums }: Shop): Promise<void> {
  const names = Array.from({ length: PHOTOS.count }, (_unused, i) => `${PHOTOS.prefix}photo ${i + 1} ❄.jpg`);
  for (const key of [...names, VIDEO.key]) {
    const data = randomBytes(key === VIDEO.key ? VIDEO.bytes : 40_000);
    sums.set(key, sha256(data));
    await minio.putObject(BUCKET, key, data);
  }
  for (const [key, sum] of sums) same(`what ${key} holds`, sha256(await read(minio, key)), sum);
  const size = showSize(BigInt(VIDEO.bytes));
  world.screen.done(`${sums.size} objects put and got, one of ${size}: same bytes, each on disk before its answer`);
}

async function list(world: DemoWorld, { minio, sums }: Shop): Promise<void> {
  const found: string[] = [];
  for await (const { name } of minio.listObjectsV2(BUCKET, "", true)) found.push(String(name));
  same("the listing", found.join(), [...sums.keys()].sort().join());
  const folders: string[] = [];
  for await (const { prefix } of minio.listObjectsV2(BUCKET, "2026/")) folders.push(String(prefix));
  world.screen.done(`listed: ${found.length} keys, in ${folders.sort().join(" and ")}`);
}

async function link(world: DemoWorld, { minio, sums }: Shop): Promise<void> {
  const url = await minio.presignedGetObject(BUCKET, VIDEO.key, LINK_S);
  const answer = await fetch(url, { signal: world.signal });
  same("what the link gives", sha256(Buffer.from(await answer.arrayBuffer())), sums.get(VIDEO.key));
  const bare = await fetch(url.slice(0, url.indexOf("?")), { signal: world.signal });
  await bare.arrayBuffer();
  same("the answer without the link's signature", bare.status, 403);
  world.screen.done(`a presigned link opens the video to anybody for ${LINK_S} s; without its signature: refused, 403`);
}

async function versions(world: DemoWorld, { minio }: Shop): Promise<void> {
  await minio.setBucketVersioning(BUCKET, { Status: "Enabled" });
  const first = await minio.putObject(BUCKET, "caption", "a cat");
  await minio.putObject(BUCKET, "caption", "no, a dog");
  await minio.removeObject(BUCKET, "caption");
  const gone = await minio.statObject(BUCKET, "caption").then(
    () => "there",
    (error: { code?: string }) => error.code ?? messageOf(error),
  );
  same("the deleted caption", gone, "NotFound");
  const old = await read(minio, "caption", first.versionId ?? "");
  same("the caption's first version", old.toString(), "a cat");
  world.screen.done("versions: overwritten and deleted, and its first version is still read back");
}

async function remove(world: DemoWorld, { minio }: Shop): Promise<void> {
  world.screen.output((await world.granary("object", "scrub")).stdout);
  const all: { name: string; versionId: string }[] = [];
  for await (const { name, versionId } of minio.listObjects(BUCKET, "", true, { IncludeVersion: true }))
    all.push({ name: String(name), versionId: String(versionId) });
  await minio.removeObjects(BUCKET, all);
  await minio.removeBucket(BUCKET);
  await world.granary("user", "delete", USER);
  const left = await world.granary("bucket", "list", "-o", "json");
  same("the buckets that are left", left.stdout.trim(), "[]");
  world.screen.done("objects, versions, bucket and user deleted");
}

async function read(minio: Client, key: string, versionId?: string): Promise<Buffer> {
  return buffer(await minio.getObject(BUCKET, key, versionId === undefined ? {} : { versionId }));
}

const sha256 = (data: Buffer) => createHash("sha256").update(data).digest("hex");

function same(what: string, found: unknown, expected: unknown): void {
  if (found !== expected) throw failure(`${what}: expected ${String(expected)}, found ${String(found)}`);
}
