import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  ctx,
  type EngineWorld,
  expectSound,
  getBytes,
  makeBucket,
  makeEngineWorld,
  put,
  remove,
  rowsIn,
} from "./objects-engine-world.js";

// Around what shares a page, what has one of its own, and what has a little more than its own (inline-bodies.ts).
const SIZES = [
  0, 1, 1999, 2000, 2001, 4071, 4072, 4073, 4096, 5096, 5097, 8168, 8169, 8192, 9192, 9193, 32_767, 32_768,
];

const bytesOf = (size: number) => Buffer.from(Array.from({ length: size }, (_unused, i) => (i * 31 + size) & 0xff));

describe("bodies in the metadata", () => {
  let world: EngineWorld;
  beforeAll(async () => {
    world = await makeEngineWorld(32 * 1024);
  });
  afterAll(() => world.close());

  it("any size: read back, copied, overwritten and deleted, and nothing is left", async () => {
    const { engine, dir } = world;
    const bucket = await makeBucket(engine);
    for (const size of SIZES) {
      const bytes = bytesOf(size);
      const key = `of-${size}`;
      const { generation, attributes } = await put(engine, bucket, key, bytes);
      expect(await getBytes(engine, bucket, key)).toEqual(bytes);
      const source = { bucket, key, versionId: "null", generation };
      await engine.copy(ctx, { source, bucket, key: `copy-${size}`, attributes, preconditions: {} });
      await put(engine, bucket, key, bytes.subarray(0, size >> 1));
      expect(await getBytes(engine, bucket, key)).toEqual(bytes.subarray(0, size >> 1));
      expect(await getBytes(engine, bucket, `copy-${size}`)).toEqual(bytes);
    }
    await expectSound(dir);
    for (const size of SIZES) for (const key of [`of-${size}`, `copy-${size}`]) await remove(engine, bucket, key);
    expect(rowsIn(dir, ["inline", "inlineTails", "objects"])).toEqual({ inline: 0, inlineTails: 0, objects: 0 });
    await expectSound(dir);
  });

  it("parts of an upload, and ranges that are copied into one: the same", async () => {
    const { engine, dir } = world;
    const bucket = await makeBucket(engine);
    const whole = bytesOf(32_768);
    const { generation, attributes } = await put(engine, bucket, "source", whole);
    const upload = await engine.createUpload(ctx, {
      bucket,
      key: "target",
      initiatorId: "alice",
      attributes,
      checksumAlgorithm: null,
      checksumType: "FULL_OBJECT",
    });
    const part = await engine.copyPart(ctx, {
      ...upload,
      bucket,
      partNumber: 1,
      source: { bucket, key: "source", versionId: "null", generation },
      offsetBytes: 100,
      lengthBytes: 8192,
      digest: { md5: "0".repeat(32), checksum: { algorithm: "CRC32", type: "FULL_OBJECT", value: "AAAAAA==" } },
    });
    await engine.completeUpload(ctx, {
      ...upload,
      bucket,
      parts: [{ number: 1, etag: part.etag, checksum: null }],
      preconditions: {},
      digest: () => ({ etag: `${"0".repeat(32)}-1`, checksum: null }),
    });
    expect(await getBytes(engine, bucket, "target")).toEqual(whole.subarray(100, 8292));
    await expectSound(dir);
    for (const key of ["source", "target"]) await remove(engine, bucket, key);
    expect(rowsIn(dir, ["inline", "inlineTails", "manifests"])).toEqual({ inline: 0, inlineTails: 0, manifests: 0 });
  });
});
