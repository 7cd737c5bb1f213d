import { mkdirSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Reclaim } from "../../src/engines/local/objects/reclaim.js";
import type { TableName } from "../../src/engines/local/objects/tables.js";
import {
  ATTRIBUTES,
  bodyFiles,
  ctx,
  type EngineWorld,
  expectSound,
  getBytes,
  makeBucket,
  makeEngineWorld,
  md5Of,
  put,
  remove,
  rowsIn,
  sourceOf,
} from "./objects-engine-world.js";

let world: EngineWorld;
let reclaim: Reclaim;
beforeAll(async () => {
  world = await makeEngineWorld();
  reclaim = world.engine.reclaim();
});
afterAll(async () => {
  await reclaim.close();
  await world.close();
});

const OF_BYTES: readonly TableName[] = ["inline", "bodies", "garbage", "manifests", "parts", "uploads", "objects"];
const OF_VERSIONS: readonly TableName[] = ["versions", "nulls", "buckets", "bucketIds", "usage"];
const NONE = Object.fromEntries([...OF_BYTES, ...OF_VERSIONS].map((name) => [name, 0]));

const SMALL = Buffer.from("small");
const LARGE = Buffer.alloc(100_000, "large");

/** Objects of every kind, in every state, over and over each other. */
async function fill(bucket: string): Promise<void> {
  const { engine } = world;
  for (const [key, bytes] of [
    ["small", SMALL],
    ["large", LARGE],
    ["empty", Buffer.alloc(0)],
  ] as const) {
    await put(engine, bucket, key, bytes);
    await put(engine, bucket, key, bytes);
    const { versionId, generation } = await engine.head(ctx, { bucket, key });
    const source = { bucket, key, versionId, generation };
    for (const to of [`${key}-copy`, key])
      await engine.copy(ctx, { source, bucket, key: to, attributes: ATTRIBUTES, preconditions: {} });
    const both = { fromPreconditions: {}, toPreconditions: {} };
    await engine.rename(ctx, { bucket, from: `${key}-copy`, to: `${key}-renamed`, ...both });
    await uploadOf(bucket, `${key}-parts`, bytes);
  }
}

async function uploadOf(bucket: string, key: string, bytes: Buffer): Promise<void> {
  const { engine } = world;
  const rest = {
    initiatorId: "alice",
    attributes: ATTRIBUTES,
    checksumAlgorithm: null,
    checksumType: "COMPOSITE",
  } as const;
  for (const end of ["complete", "abort"]) {
    const { uploadId } = await engine.createUpload(ctx, { bucket, key, ...rest });
    const ref = { bucket, key, uploadId };
    for (const partNumber of [1, 1, 2]) await engine.putPart(ctx, { ...ref, partNumber, body: sourceOf(bytes) });
    if (end === "abort") await engine.abortUpload(ctx, ref);
    else {
      const parts = [{ number: 1, etag: md5Of(bytes), checksum: null }];
      const digest = () => ({ etag: `${md5Of(bytes)}-1`, checksum: null });
      await engine.completeUpload(ctx, { ...ref, parts, preconditions: {}, digest });
    }
  }
}

async function emptied(bucket: string): Promise<void> {
  const { engine } = world;
  const request = { bucket, prefix: "", delimiter: "", keyMarker: "", versionIdMarker: "", limit: 1000 };
  const { items } = await engine.listVersions(ctx, request);
  const one = { bucket, preconditions: {}, bypassGovernance: false };
  const outcomes = await engine.deleteMany(
    ctx,
    items.flatMap((item) =>
      "entry" in item ? [{ ...one, key: item.entry.key, versionId: item.entry.versionId }] : [],
    ),
  );
  expect(outcomes.filter((outcome) => outcome instanceof Error)).toEqual([]);
  await engine.deleteBucket(ctx, bucket);
}

describe("garbage", () => {
  it("all is deleted: no row and no file is left, of any kind of bucket", async () => {
    for (const versioning of ["off", "enabled", "suspended"] as const) {
      const bucket = await makeBucket(world.engine, { versioning });
      await fill(bucket);
      await expectSound(world.dir);
      await emptied(bucket);
    }
    await vi.waitFor(() => expect(bodyFiles(world.dir)).toEqual([]), 10_000);
    await vi.waitFor(() => expect(rowsIn(world.dir, [...OF_BYTES, ...OF_VERSIONS])).toEqual(NONE), 10_000);
  });

  it("a file that cannot be removed: all others go, it is counted, and goes when it can", async () => {
    const bucket = await makeBucket(world.engine);
    await put(world.engine, bucket, "bad", LARGE);
    const path = join(world.dir, "bodies", bodyFiles(world.dir)[0] ?? "");
    for (let i = 0; i < 5; i++) await put(world.engine, bucket, `good-${i}`, LARGE);
    // As unlink() fails with EIO: on a folder it always does.
    rmSync(path);
    mkdirSync(path);
    for (const key of ["bad", ...Array.from({ length: 5 }, (_, i) => `good-${i}`)])
      await remove(world.engine, bucket, key);
    await vi.waitFor(() => expect([bodyFiles(world.dir), reclaim.stuck]).toEqual([[], 1]), 10_000);
    // The rows go after the files.
    await vi.waitFor(() => expect(rowsIn(world.dir, ["garbage"])).toEqual({ garbage: 1 }), 10_000);
    rmdirSync(path);
    await vi.waitFor(() => expect(reclaim.stuck).toBe(0), 15_000);
    await vi.waitFor(() => expect(rowsIn(world.dir, ["garbage"])).toEqual({ garbage: 0 }), 10_000);
  });

  it("a body that is being read: its file stays until it was", async () => {
    const bucket = await makeBucket(world.engine);
    await put(world.engine, bucket, "k", LARGE);
    const held = await world.engine.open(ctx, { bucket, key: "k" });
    await remove(world.engine, bucket, "k");
    await put(world.engine, bucket, "other", LARGE);
    await remove(world.engine, bucket, "other");
    await vi.waitFor(() => expect(bodyFiles(world.dir)).toHaveLength(1), 10_000);
    const pieces: Buffer[] = [];
    for await (const piece of held.read(0, LARGE.length) as AsyncIterable<Buffer>) pieces.push(Buffer.from(piece));
    expect(Buffer.concat(pieces).equals(LARGE)).toBe(true);
    held.close();
    await vi.waitFor(() => expect(bodyFiles(world.dir)).toEqual([]), 10_000);
  });

  it("overwritten while it is read and collected: each read is of one version, whole", async () => {
    const { engine } = world;
    const bucket = await makeBucket(engine);
    await put(engine, bucket, "k", Buffer.alloc(LARGE.length, "0"));
    let writing = true;
    const reads = Array.from({ length: 4 }, async () => {
      while (writing) {
        const bytes = await getBytes(engine, bucket, "k");
        expect(bytes.equals(Buffer.alloc(LARGE.length, bytes[0]))).toBe(true);
      }
    });
    for (let i = 1; i <= 120; i++) await put(engine, bucket, "k", Buffer.alloc(LARGE.length, `${i % 10}`));
    writing = false;
    await Promise.all(reads);
    await remove(engine, bucket, "k");
    await vi.waitFor(() => expect(bodyFiles(world.dir)).toEqual([]), 10_000);
  });

  it("a source that breaks off, and one that is refused: nothing is left", async () => {
    const { engine } = world;
    const bucket = await makeBucket(engine, { quotaObjects: 1 });
    await put(engine, bucket, "k", LARGE);
    async function* broken() {
      yield LARGE;
      throw new Error("the client went away");
    }
    const body = { ...sourceOf(LARGE), bytes: broken(), lengthBytes: 2 * LARGE.length };
    const request = { bucket, attributes: ATTRIBUTES, preconditions: {} };
    await expect(engine.put(ctx, { ...request, key: "broken", body })).rejects.toThrow("the client went away");
    await expect(put(engine, bucket, "refused", LARGE)).rejects.toThrow("may hold 1 objects");
    await vi.waitFor(() => expect(bodyFiles(world.dir)).toHaveLength(1), 10_000);
    await expectSound(world.dir);
    expect((await getBytes(engine, bucket, "k")).equals(LARGE)).toBe(true);
  });
});
