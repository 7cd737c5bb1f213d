import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { ObjectEngine, UploadRef, WritePreconditions } from "../../src/engines/object-engine.js";
import { MAX_PARTS, MIN_PART_BYTES } from "../../src/model/object.js";
import {
  ATTRIBUTES,
  ctx,
  digestOf,
  getBytes,
  makeBucket,
  md5Of,
  put,
  refusalOf,
  type SuiteWorld,
  sourceOf,
  versionsOf,
} from "./objects-engine-world.js";

export function uploadsSuite(makeWorld: () => Promise<SuiteWorld>): void {
  let world: SuiteWorld;
  beforeAll(async () => {
    world = await makeWorld();
  });
  afterEach(() => world.expectSound());
  afterAll(() => world.close());

  const FULL = Buffer.alloc(MIN_PART_BYTES, "full part ");
  const OTHER = Buffer.alloc(MIN_PART_BYTES, "another ");
  const LAST = Buffer.from("the last");

  async function begin(engine: ObjectEngine, bucket: string, key = "k"): Promise<UploadRef> {
    const rest = {
      initiatorId: "alice",
      attributes: ATTRIBUTES,
      checksumAlgorithm: null,
      checksumType: "COMPOSITE",
    } as const;
    const { uploadId } = await engine.createUpload(ctx, { bucket, key, ...rest });
    return { bucket, key, uploadId };
  }

  const putPart = (engine: ObjectEngine, ref: UploadRef, partNumber: number, bytes: Buffer) =>
    engine.putPart(ctx, { ...ref, partNumber, body: sourceOf(bytes) });

  function complete(
    engine: ObjectEngine,
    ref: UploadRef,
    parts: readonly (readonly [number, Buffer])[],
    preconditions: WritePreconditions = {},
  ) {
    const named = parts.map(([number, bytes]) => ({ number, etag: md5Of(bytes), checksum: null }));
    const digest = () => ({ etag: `${"0".repeat(32)}-${parts.length}`, checksum: null });
    return engine.completeUpload(ctx, { ...ref, parts: named, preconditions, digest });
  }

  async function copyPart(
    engine: ObjectEngine,
    ref: UploadRef,
    partNumber: number,
    from: { key: string; offset: number; bytes: Buffer },
  ) {
    const { bucket } = ref;
    const { versionId, generation } = await engine.head(ctx, { bucket, key: from.key });
    return engine.copyPart(ctx, {
      ...{ ...ref, partNumber, source: { bucket, key: from.key, versionId, generation } },
      ...{ offsetBytes: from.offset, lengthBytes: from.bytes.length, digest: digestOf(from.bytes) },
    });
  }

  describe("uploads in parts", () => {
    it("completed: the parts in order, and the upload is gone", async () => {
      const { engine } = world;
      const bucket = await makeBucket(engine);
      const ref = await begin(engine, bucket);
      await putPart(engine, ref, 7, LAST);
      await putPart(engine, ref, 2, OTHER);
      await putPart(engine, ref, 2, FULL);
      expect((await engine.listParts(ctx, ref, 2, 1)).parts.map(({ number }) => number)).toEqual([7]);
      const version = await complete(engine, ref, [
        [2, FULL],
        [7, LAST],
      ]);
      expect([version.sizeBytes, version.partsCount]).toEqual([FULL.length + LAST.length, 2]);
      expect((await getBytes(engine, bucket, "k")).equals(Buffer.concat([FULL, LAST]))).toBe(true);
      const opened = await engine.open(ctx, { bucket, key: "k" });
      expect((await opened.parts()).map(({ number, sizeBytes }) => [number, sizeBytes])).toEqual([
        [2, FULL.length],
        [7, LAST.length],
      ]);
      opened.close();
      expect(await refusalOf(engine.listParts(ctx, ref, 0, 1))).toBe("no-such-upload");
      if (world.forgetsParts)
        expect(await engine.usage(ctx, bucket)).toEqual({
          ...{ objects: 1, bytes: FULL.length + LAST.length, deleteMarkers: 0, uploads: 0 },
        });
    });

    it("parts that the completion does not name: gone; where the upstream cannot let go of them: refused", async () => {
      const { engine } = world;
      const bucket = await makeBucket(engine);
      const ref = await begin(engine, bucket);
      for (const number of [2, 5, 7]) await putPart(engine, ref, number, FULL);
      const some = refusalOf(
        complete(
          engine,
          ref,
          [2, 7].map((number) => [number, FULL] as const),
        ),
      );
      expect(await some).toBe(world.completesSome ? "fulfilled" : "invalid-part");
      if (!world.completesSome)
        await complete(
          engine,
          ref,
          [2, 5, 7].map((number) => [number, FULL] as const),
        );
      const count = world.completesSome ? 2 : 3;
      expect(await engine.usage(ctx, bucket)).toEqual({
        ...{ objects: 1, bytes: count * FULL.length, deleteMarkers: 0, uploads: 0 },
      });
    });

    it("completed again with the same parts: the same version, also after a restart; with others: no such upload", async () => {
      const bucket = await makeBucket(world.engine, { versioning: "enabled" });
      const ref = await begin(world.engine, bucket);
      await putPart(world.engine, ref, 1, LAST);
      const { versionId } = await complete(world.engine, ref, [[1, LAST]]);
      expect((await complete(world.engine, ref, [[1, LAST]])).versionId).toBe(versionId);
      await world.reopen();
      const { engine } = world;
      expect((await complete(engine, ref, [[1, LAST]])).versionId).toBe(versionId);
      expect(await refusalOf(complete(engine, ref, [[1, FULL]]))).toBe("no-such-upload");
      expect(await refusalOf(complete(engine, { ...ref, key: "other" }, [[1, LAST]]))).toBe("no-such-upload");
      expect(await refusalOf(engine.abortUpload(ctx, ref))).toBe("no-such-upload");
      expect(await versionsOf(engine, bucket)).toEqual(["k: id 8 latest"]);
    });

    it("what cannot be completed: refused, and the upload stays as it was", async () => {
      const { engine } = world;
      const bucket = await makeBucket(engine);
      await put(engine, bucket, "k", "before");
      const ref = await begin(engine, bucket);
      await putPart(engine, ref, 1, LAST);
      await putPart(engine, ref, 2, FULL);
      const refusals = [
        [
          [
            [2, FULL],
            [1, LAST],
          ],
          "invalid-part-order",
        ],
        [
          [
            [2, FULL],
            [2, FULL],
          ],
          "invalid-part-order",
        ],
        [
          [
            [1, LAST],
            [2, FULL],
          ],
          "part-too-small",
        ],
        [[[2, LAST]], "invalid-part"],
        [[[3, LAST]], "invalid-part"],
        [[[MAX_PARTS + 1, LAST]], "invalid-part"],
        [[], "invalid-argument"],
      ] as const;
      for (const [parts, reason] of refusals) expect(await refusalOf(complete(engine, ref, parts))).toBe(reason);
      const ifNoneMatch = complete(engine, ref, [[2, FULL]], { ifNoneMatch: "*" });
      expect(await refusalOf(ifNoneMatch)).toBe("precondition-failed");
      expect((await engine.listParts(ctx, ref, 0, 10)).parts).toHaveLength(2);
      for (const number of [0, -1, 1.5, MAX_PARTS + 1])
        expect(await refusalOf(putPart(engine, ref, number, LAST))).toBe("invalid-argument");
      expect(await refusalOf(engine.deleteBucket(ctx, bucket))).toBe("bucket-not-empty");
      await engine.abortUpload(ctx, ref);
      expect(await engine.usage(ctx, bucket)).toEqual({ objects: 1, bytes: 6, deleteMarkers: 0, uploads: 0 });
    });

    it("parts copied from small, large and multipart objects: their bytes stay when the sources go", async () => {
      const { engine } = world;
      const bucket = await makeBucket(engine);
      await put(engine, bucket, "small", LAST);
      await put(engine, bucket, "large", FULL);
      const first = await begin(engine, bucket, "multi");
      await putPart(engine, first, 1, OTHER);
      await putPart(engine, first, 2, LAST);
      await complete(engine, first, [
        [1, OTHER],
        [2, LAST],
      ]);
      const whole = Buffer.concat([OTHER, LAST]);

      const ref = await begin(engine, bucket, "copy");
      await copyPart(engine, ref, 1, { key: "large", offset: 0, bytes: FULL });
      // Over the border of two parts, one of them in the metadata.
      const tail = whole.subarray(5);
      await copyPart(engine, ref, 2, { key: "multi", offset: 5, bytes: tail });
      await copyPart(engine, ref, 3, { key: "small", offset: 4, bytes: LAST.subarray(4) });
      const beyond = copyPart(engine, ref, 4, { key: "small", offset: 5, bytes: LAST });
      expect(await refusalOf(beyond)).toBe("invalid-argument");
      await complete(engine, ref, [
        [1, FULL],
        [2, tail],
        [3, LAST.subarray(4)],
      ]);
      for (const key of ["small", "large", "multi"]) await put(engine, bucket, key, "");
      const wanted = Buffer.concat([FULL, tail, LAST.subarray(4)]);
      expect((await getBytes(engine, bucket, "copy")).equals(wanted)).toBe(true);
    });

    it("a part, the completion and the abort at once: one of the two ends it, and nothing is left over", async () => {
      const { engine } = world;
      const bucket = await makeBucket(engine);
      const outcomes = new Set<string>();
      for (let round = 0; round < 12; round++) {
        const ref = await begin(engine, bucket, `k${round}`);
        // In the metadata and in a file.
        const [one, two] = round % 2 ? ["a".repeat(10), "b".repeat(10)] : ["a".repeat(5000), "b".repeat(5000)];
        await putPart(engine, ref, 1, Buffer.from(one));
        const [part, completed, aborted] = await Promise.all([
          refusalOf(putPart(engine, ref, 1, Buffer.from(two))),
          refusalOf(complete(engine, ref, [[1, Buffer.from(one)]])),
          refusalOf(engine.abortUpload(ctx, ref)),
        ]);
        outcomes.add(`${completed} ${aborted}`);
        expect(["fulfilled", "no-such-upload"]).toContain(part);
        expect(["fulfilled no-such-upload", "no-such-upload fulfilled", "invalid-part fulfilled"]).toContain(
          `${completed} ${aborted}`,
        );
        if (completed === "fulfilled") expect((await getBytes(engine, bucket, `k${round}`)).toString()).toBe(one);
      }
      expect((await engine.usage(ctx, bucket)).uploads).toBe(0);
    });
  });
}
