import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { keysOf } from "../../src/engines/migrate-bucket/key-walk.js";
import { type MigrationProgress, migrateBucket } from "../../src/engines/migrate-bucket/migrate-bucket.js";
import type { ObjectEngine } from "../../src/engines/object-engine.js";
import type { ObjectAttributes, ObjectVersion } from "../../src/model/object.js";
import {
  ATTRIBUTES,
  ctx,
  digestOf,
  getBytes,
  makeBucket,
  md5Of,
  put,
  refusalOf,
  remove,
  sourceOf,
} from "./objects-engine-world.js";

/** Two engines, the first with the bucket that moves. */
export interface MigrationWorld {
  from: ObjectEngine;
  to: ObjectEngine;
  close(): Promise<void>;
}

const MIB = 1024 ** 2;

/** All that S3 shows of a bucket but ids and times: every version with its bytes, oldest first. */
async function contentOf(engine: ObjectEngine, bucket: string) {
  const found: object[] = [];
  for await (const { key, versions } of keysOf(ctx, engine, bucket)) {
    for (const { versionId, deleteMarker } of versions) {
      const named = { key, isNull: versionId === "null", deleteMarker };
      if (deleteMarker) found.push(named);
      else {
        const version = await engine.head(ctx, { bucket, key, versionId });
        const { etag, sizeBytes, checksum, partsCount, attributes } = version;
        const bytes = md5Of(await getBytes(engine, bucket, key, versionId));
        found.push({ ...named, etag, sizeBytes, checksum, partsCount, attributes, bytes });
      }
    }
  }
  return found;
}

async function documentsOf(engine: ObjectEngine, name: string) {
  const bucket = await engine.bucket(ctx, name);
  const { createdMs: _createdMs, revision: _revision, ...rest } = bucket ?? { createdMs: 0, revision: 0 };
  return rest;
}

async function putParts(
  engine: ObjectEngine,
  bucket: string,
  key: string,
  parts: readonly Buffer[],
): Promise<ObjectVersion> {
  const upload = { bucket, key, initiatorId: "alice", attributes: { ...ATTRIBUTES, contentType: "video/mp4" } };
  const { uploadId } = await engine.createUpload(ctx, {
    ...upload,
    checksumAlgorithm: "CRC32",
    checksumType: "COMPOSITE",
  });
  const ref = { bucket, key, uploadId };
  for (const [i, bytes] of parts.entries())
    await engine.putPart(ctx, { ...ref, partNumber: i + 1, body: sourceOf(bytes) });
  const named = parts.map((bytes, i) => ({
    number: i + 1,
    etag: md5Of(bytes),
    checksum: digestOf(bytes).checksum.value,
  }));
  const etag = `${md5Of(Buffer.concat(parts.map((bytes) => Buffer.from(md5Of(bytes), "hex"))))}-${parts.length}`;
  return engine.completeUpload(ctx, {
    ...{ ...ref, parts: named, preconditions: {} },
    digest: () => ({ etag, checksum: { algorithm: "CRC32", type: "COMPOSITE", value: `AAAAAA==-${parts.length}` } }),
  });
}

/** What a migration promises, between whichever two engines. */
export function describeMigration(engines: string, makeWorld: () => Promise<MigrationWorld>): void {
  describe(`a bucket's migration from ${engines}`, () => {
    let world: MigrationWorld;
    beforeAll(async () => {
      world = await makeWorld();
    });
    afterAll(() => world.close());

    const migrate = (
      bucket: string,
      onProgress: (progress: MigrationProgress) => void = () => {},
      signal = ctx.signal,
    ) => migrateBucket({ ...ctx, signal }, { from: world.from, to: world.to, bucket, parallel: 4, onProgress });
    const expectEqual = async (bucket: string) => {
      expect(await contentOf(world.to, bucket)).toEqual(await contentOf(world.from, bucket));
      expect(await documentsOf(world.to, bucket)).toEqual(await documentsOf(world.from, bucket));
    };

    it("keeps bytes, ETags, checksums, metadata, tags, parts and the bucket's documents", async () => {
      const { from } = world;
      const tagging = JSON.stringify([["team", "storage"]]);
      const bucket = await makeBucket(from, { quotaBytes: 500 * MIB, quotaObjects: 1000, config: { tagging } });
      const attributes: Partial<ObjectAttributes> = {
        contentType: "image/png",
        system: [["cache-control", "max-age=60"]],
        user: [
          ["colour", "blue"],
          ["__proto__", "a name like any other"],
        ],
        tags: [
          ["kind", "photo"],
          ["ünïcode", "ja"],
        ],
      };
      await put(from, bucket, "empty", "");
      await put(from, bucket, "small", "some words", { attributes });
      await put(from, bucket, "in a file", randomBytes(300_000), { attributes });
      for (const key of ["a/b//c", " spaces and +%20 ", "データ", "semi;colon&amp=?#"]) await put(from, bucket, key);
      await putParts(from, bucket, "parts", [randomBytes(5 * MIB), randomBytes(1000)]);
      const { copied, copiedBytes, totalVersions, step } = await migrate(bucket);
      expect({ copied, totalVersions, step }).toEqual({ copied: 8, totalVersions: 8, step: "done" });
      expect(copiedBytes).toBeGreaterThan(5 * MIB);
      await expectEqual(bucket);
      expect((await migrate(bucket)).copied).toBe(0);
    });

    it("keeps versions, delete markers and the null version in their order, whatever the versioning was", async () => {
      const { from } = world;
      const bucket = await makeBucket(from, { versioning: "off" });
      await put(from, bucket, "null first", "1");
      await put(from, bucket, "only null", "1");
      await from.changeBucket(ctx, bucket, { versioning: "enabled" });
      await put(from, bucket, "null first", "22");
      await put(from, bucket, "null between", "1");
      await put(from, bucket, "deleted", "1");
      await remove(from, bucket, "deleted");
      await from.changeBucket(ctx, bucket, { versioning: "suspended" });
      await put(from, bucket, "null between", "22");
      await remove(from, bucket, "null marker");
      await from.changeBucket(ctx, bucket, { versioning: "enabled" });
      await put(from, bucket, "null between", "333");
      await put(from, bucket, "null first", "333");
      await remove(from, bucket, "null first");
      await migrate(bucket);
      await expectEqual(bucket);
      await from.changeBucket(ctx, bucket, { versioning: "suspended" });
      await migrate(bucket);
      expect((await world.to.bucket(ctx, bucket))?.versioning).toBe("suspended");
    });

    it("stopped in the middle, goes on where it was, and copies nothing twice", async () => {
      const { from } = world;
      const bucket = await makeBucket(from);
      for (let i = 0; i < 40; i++) await put(from, bucket, `key-${i}`, randomBytes(2000));
      const stop = new AbortController();
      let before = 0;
      const first = migrate(
        bucket,
        ({ copied }) => {
          before = copied;
          if (copied === 15) stop.abort(new Error("stopped"));
        },
        stop.signal,
      );
      await expect(first).rejects.toThrow();
      const { copied } = await migrate(bucket);
      // What was under way when it stopped may have been written, and not counted.
      expect(before + copied).toBeGreaterThanOrEqual(36);
      expect(before + copied).toBeLessThanOrEqual(40);
      await expectEqual(bucket);
    });

    it("takes over what is written, overwritten, deleted and tagged while it runs", async () => {
      const { from } = world;
      const bucket = await makeBucket(from);
      for (let i = 0; i < 30; i++) await put(from, bucket, `key-${String(i).padStart(2, "0")}`, `first ${i}`);
      const changes: Promise<unknown>[] = [];
      const once = new Set<string>();
      const at = (moment: string, change: () => Promise<unknown>) => {
        if (once.has(moment)) return;
        once.add(moment);
        changes.push(change());
      };
      await migrate(bucket, ({ step, copied }) => {
        if (step === "copying" && copied === 20) {
          at("a new key before", () => put(from, bucket, "key-000", "new"));
          at("overwritten", () => put(from, bucket, "key-02", "second, and longer"));
          at("deleted", () => remove(from, bucket, "key-03"));
        }
        if (step === "verifying")
          at("tagged", () => from.changeVersion(ctx, { bucket, key: "key-05" }, { tags: [["late", "yes"]] }));
      });
      await Promise.all(changes);
      // The tag may have come after its object was verified: the next run finds it.
      await migrate(bucket);
      expect(once.size).toBe(4);
      await expectEqual(bucket);
    });

    it("locks: retention and legal hold stay with each version", async () => {
      const { from } = world;
      const bucket = await makeBucket(from, { objectLock: true });
      const untilMs = Math.ceil(Date.now() / 1000 + 3600) * 1000;
      await put(from, bucket, "held", "1", { attributes: { legalHold: true } });
      await put(from, bucket, "kept", "1", { attributes: { retention: { mode: "GOVERNANCE", untilMs } } });
      await migrate(bucket);
      await expectEqual(bucket);
      const [held] = (await contentOf(world.to, bucket)) as { attributes: ObjectAttributes }[];
      expect(held?.attributes.legalHold).toBe(true);
      for (const engine of [world.from, world.to])
        await engine.changeVersion(ctx, { bucket, key: "held" }, { legalHold: false });
    });

    it("a bucket that is not there: no-such-bucket, and none is made", async () => {
      expect(await refusalOf(migrate("nobodys-bucket"))).toBe("no-such-bucket");
      expect(await world.to.bucket(ctx, "nobodys-bucket")).toBeUndefined();
    });
  });
}
