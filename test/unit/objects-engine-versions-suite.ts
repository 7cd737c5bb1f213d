import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { WritePreconditions } from "../../src/engines/object-engine.js";
import { StorageError } from "../../src/errors/storage-error.js";
import type { Versioning } from "../../src/model/bucket.js";
import {
  ATTRIBUTES,
  ctx,
  get,
  makeBucket,
  md5Of,
  put,
  refusalOf,
  remove,
  type SuiteWorld,
  versionsOf,
} from "./objects-engine-world.js";

export function versionsSuite(makeWorld: () => Promise<SuiteWorld>): void {
  let world: SuiteWorld;
  beforeAll(async () => {
    world = await makeWorld();
  });
  afterEach(() => world.expectSound());
  afterAll(() => world.close());

  describe("versions", () => {
    const AFTER: [Versioning, string[], string[]][] = [
      ["off", ["k: null 3 latest"], []],
      ["enabled", ["k: id 3 latest", "k: id 2", "k: id 1"], ["k: id marker latest", "k: id 3", "k: id 2", "k: id 1"]],
      ["suspended", ["k: null 3 latest"], ["k: null marker latest"]],
    ];
    it.each(AFTER)("%s: put thrice, then deleted", async (versioning, afterPuts, afterDelete) => {
      const { engine } = world;
      const bucket = await makeBucket(engine, { versioning });
      for (const content of ["1", "22", "333"]) await put(engine, bucket, "k", content);
      expect(await versionsOf(engine, bucket)).toEqual(afterPuts);
      expect(await get(engine, bucket, "k")).toBe("333");
      const outcome = await remove(engine, bucket, "k");
      expect(outcome.deleteMarker).toBe(versioning !== "off");
      expect(await versionsOf(engine, bucket)).toEqual(afterDelete);
      expect(await refusalOf(get(engine, bucket, "k"))).toBe("no-such-key");
    });

    it("enabled, suspended and enabled again: one null version, wherever it lies, and the others stay", async () => {
      const { engine } = world;
      const bucket = await makeBucket(engine);
      await put(engine, bucket, "k", "1");
      await engine.changeBucket(ctx, bucket, { versioning: "enabled" });
      const second = await put(engine, bucket, "k", "22");
      expect(await versionsOf(engine, bucket)).toEqual(["k: id 2 latest", "k: null 1"]);
      await engine.changeBucket(ctx, bucket, { versioning: "suspended" });
      await put(engine, bucket, "k", "333");
      expect(await versionsOf(engine, bucket)).toEqual(["k: null 3 latest", "k: id 2"]);
      await engine.changeBucket(ctx, bucket, { versioning: "enabled" });
      await put(engine, bucket, "k", "4444");
      expect(await versionsOf(engine, bucket)).toEqual(["k: id 4 latest", "k: null 3", "k: id 2"]);
      expect(await get(engine, bucket, "k", "null")).toBe("333");
      await engine.changeBucket(ctx, bucket, { versioning: "suspended" });
      await remove(engine, bucket, "k");
      expect(await versionsOf(engine, bucket)).toEqual(["k: null marker latest", "k: id 4", "k: id 2"]);
      expect(await remove(engine, bucket, "k", { versionId: "null" })).toEqual({
        versionId: "null",
        deleteMarker: true,
      });
      expect(await versionsOf(engine, bucket)).toEqual(["k: id 4 latest", "k: id 2"]);
      expect(await get(engine, bucket, "k", second.versionId)).toBe("22");
    });

    it("the newest removed by its id: the next newest follows, object or delete marker", async () => {
      const { engine } = world;
      const bucket = await makeBucket(engine, { versioning: "enabled" });
      await put(engine, bucket, "k", "1");
      const marker = await remove(engine, bucket, "k");
      const last = await put(engine, bucket, "k", "22");
      await remove(engine, bucket, "k", { versionId: last.versionId });
      expect(await versionsOf(engine, bucket)).toEqual(["k: id marker latest", "k: id 1"]);
      const error = await engine.head(ctx, { bucket, key: "k" }).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(StorageError);
      expect((error as StorageError).deleteMarker?.versionId).toBe(marker.versionId);
      const { versionId = "" } = marker;
      expect(await refusalOf(engine.head(ctx, { bucket, key: "k", versionId }))).toBe("delete-marker");
      expect(await remove(engine, bucket, "k", { versionId })).toEqual({ versionId, deleteMarker: true });
      expect(await versionsOf(engine, bucket)).toEqual(["k: id 1 latest"]);
      expect(await get(engine, bucket, "k")).toBe("1");
    });

    it("versions that are gone: refused on reading, fine on deleting; ids that never were one: refused", async () => {
      const { engine } = world;
      const bucket = await makeBucket(engine, { versioning: "enabled" });
      const { versionId } = await put(engine, bucket, "k");
      const other = await put(engine, bucket, "other");
      await remove(engine, bucket, "k", { versionId });
      for (const id of [versionId, other.versionId, "null", ...world.unknownIds]) {
        expect(await refusalOf(engine.head(ctx, { bucket, key: "k", versionId: id }))).toBe("no-such-version");
        expect(await remove(engine, bucket, "k", { versionId: id })).toEqual({ versionId: id, deleteMarker: false });
      }
      for (const id of world.neverIds) {
        expect(await refusalOf(engine.head(ctx, { bucket, key: "k", versionId: id }))).toBe("invalid-argument");
        expect(await refusalOf(remove(engine, bucket, "k", { versionId: id }))).toBe("invalid-argument");
      }
      expect(await versionsOf(engine, bucket)).toEqual(["other: id 5 latest"]);
    });

    it("deleteMany: each by itself, in order, those that are refused beside the others", async () => {
      const { engine } = world;
      const bucket = await makeBucket(engine, { versioning: "enabled" });
      const { versionId } = await put(engine, bucket, "a");
      const one = { bucket, preconditions: {}, bypassGovernance: false };
      const outcomes = await engine.deleteMany(ctx, [
        { ...one, key: "a" },
        { ...one, key: "a", versionId },
        { ...one, key: "x".repeat(1025) },
        { ...one, key: "never" },
        { ...one, key: "a", preconditions: { ifMatch: "0".repeat(32) } },
      ]);
      expect(outcomes.map((outcome) => (outcome instanceof StorageError ? outcome.reason : outcome))).toEqual([
        { versionId: expect.any(String) as string, deleteMarker: true },
        { versionId, deleteMarker: false },
        "key-too-long",
        { versionId: expect.any(String) as string, deleteMarker: true },
        "no-such-key",
      ]);
      expect(await versionsOf(engine, bucket)).toEqual(["a: id marker latest", "never: id marker latest"]);
    });
  });

  describe("preconditions", () => {
    const etag = md5Of(Buffer.from("body"));
    const TABLE: [string, WritePreconditions, string, string, string][] = [
      // what, preconditions, on an object, on a missing key, behind a delete marker
      ["none", {}, "fulfilled", "fulfilled", "fulfilled"],
      ["If-Match: *", { ifMatch: "*" }, "fulfilled", "no-such-key", "no-such-key"],
      ["If-Match: its own", { ifMatch: etag }, "fulfilled", "no-such-key", "no-such-key"],
      ["If-Match: another", { ifMatch: "f".repeat(32) }, "precondition-failed", "no-such-key", "no-such-key"],
      ["If-None-Match: *", { ifNoneMatch: "*" }, "precondition-failed", "fulfilled", "fulfilled"],
      ["If-None-Match: its own", { ifNoneMatch: etag }, "precondition-failed", "fulfilled", "fulfilled"],
      ["If-None-Match: another", { ifNoneMatch: "f".repeat(32) }, "fulfilled", "fulfilled", "fulfilled"],
      ["its size", { ifMatchSizeBytes: 4 }, "fulfilled", "no-such-key", "no-such-key"],
      ["another size", { ifMatchSizeBytes: 5 }, "precondition-failed", "no-such-key", "no-such-key"],
      ["another time", { ifMatchLastModifiedMs: 1000 }, "precondition-failed", "no-such-key", "no-such-key"],
      ["another generation", { generation: "zz" }, "conflict", "conflict", "conflict"],
    ];
    it.each(TABLE)("put, copy and delete with %s", async (_what, preconditions, onObject, onNone, onMarker) => {
      const { engine } = world;
      const bucket = await makeBucket(engine, { versioning: "enabled" });
      const source = await put(engine, bucket, "source", "source");
      const calls = {
        put: (key: string) => put(engine, bucket, key, "new", { preconditions }),
        copy: (key: string) =>
          engine.copy(ctx, {
            source: { bucket, key: "source", versionId: source.versionId, generation: source.generation },
            ...{ bucket, key, attributes: ATTRIBUTES, preconditions },
          }),
        delete: (key: string) => remove(engine, bucket, key, { preconditions }),
      };
      for (const [name, call] of Object.entries(calls)) {
        await put(engine, bucket, `${name}-object`, "body");
        await put(engine, bucket, `${name}-marker`, "body");
        await remove(engine, bucket, `${name}-marker`);
        const outcomes = [];
        for (const kind of ["object", "none", "marker"]) outcomes.push(await refusalOf(call(`${name}-${kind}`)));
        expect([name, ...outcomes]).toEqual([name, onObject, onNone, onMarker]);
      }
    });

    it("a generation and a time that hold: done", async () => {
      const { engine } = world;
      const bucket = await makeBucket(engine);
      const { generation, lastModifiedMs } = await put(engine, bucket, "k");
      const ifMatchLastModifiedMs = Math.floor(lastModifiedMs / 1000) * 1000;
      const { generation: next } = await put(engine, bucket, "k", "2", {
        preconditions: { generation, ifMatchLastModifiedMs },
      });
      expect(await refusalOf(put(engine, bucket, "k", "3", { preconditions: { generation } }))).toBe("conflict");
      expect(await refusalOf(remove(engine, bucket, "k", { preconditions: { generation: next } }))).toBe("fulfilled");
    });

    it("32 conditional puts at once: one wins", async () => {
      const { engine } = world;
      for (const size of [10, 5000]) {
        const bucket = await makeBucket(engine);
        const puts = Array.from({ length: 32 }, (_, i) =>
          refusalOf(put(engine, bucket, "k", `${i}`.padEnd(size), { preconditions: { ifNoneMatch: "*" } })),
        );
        expect((await Promise.all(puts)).sort()).toEqual(["fulfilled", ...Array(31).fill("precondition-failed")]);
      }
    });
  });

  describe("object lock", () => {
    const HOUR_MS = 3600_000;
    const soon = Date.now() + HOUR_MS;
    const LOCKS = [
      ["none", {}, true, true],
      ["governance", { retention: { mode: "GOVERNANCE", untilMs: soon } }, false, true],
      ["compliance", { retention: { mode: "COMPLIANCE", untilMs: soon } }, false, false],
      ["expired compliance", { retention: { mode: "COMPLIANCE", untilMs: 1000 } }, true, true],
      ["legal hold", { legalHold: true }, false, false],
      ["legal hold taken off", { legalHold: false }, true, true],
    ] as const;
    it.each(LOCKS)("%s: who removes the version", async (_what, attributes, anybody, bypassing) => {
      const { engine } = world;
      const bucket = await makeBucket(engine, { objectLock: true });
      const { versionId } = await put(engine, bucket, "k", "body", { attributes });
      // Not what a delete marker hides.
      expect((await remove(engine, bucket, "k")).deleteMarker).toBe(true);
      const plain = await refusalOf(remove(engine, bucket, "k", { versionId }));
      expect(plain).toBe(anybody ? "fulfilled" : "object-locked");
      const bypassed = await refusalOf(remove(engine, bucket, "k", { versionId, bypassGovernance: true }));
      expect(bypassed).toBe(bypassing ? "fulfilled" : "object-locked");
    });

    const CHANGES = [
      ["GOVERNANCE", "longer", { mode: "GOVERNANCE", untilMs: soon + 1 }, true, true],
      ["GOVERNANCE", "shorter", { mode: "GOVERNANCE", untilMs: soon - 1 }, false, true],
      ["GOVERNANCE", "none", null, false, true],
      ["GOVERNANCE", "compliance", { mode: "COMPLIANCE", untilMs: soon + 1 }, false, true],
      ["COMPLIANCE", "longer", { mode: "COMPLIANCE", untilMs: soon + 1 }, true, true],
      ["COMPLIANCE", "shorter", { mode: "COMPLIANCE", untilMs: soon - 1 }, false, false],
      ["COMPLIANCE", "none", null, false, false],
      ["COMPLIANCE", "governance", { mode: "GOVERNANCE", untilMs: soon + 1 }, false, false],
    ] as const;
    it.each(CHANGES)("%s to %s", async (mode, _to, retention, anybody, bypassing) => {
      const { engine } = world;
      const bucket = await makeBucket(engine, { objectLock: true });
      for (const [bypassGovernance, allowed] of [
        [false, anybody],
        [true, bypassing],
      ] as const) {
        const key = `${bypassGovernance}`;
        await put(engine, bucket, key, "body", { attributes: { retention: { mode, untilMs: soon } } });
        const changing = engine.changeVersion(ctx, { bucket, key }, { retention, bypassGovernance });
        expect(await refusalOf(changing)).toBe(allowed ? "fulfilled" : "object-locked");
        const wanted = allowed ? retention : { mode, untilMs: soon };
        expect((await engine.head(ctx, { bucket, key })).attributes.retention).toEqual(wanted);
      }
    });

    it("an object lock bucket: versioning can not be suspended, nor lock be had without versioning", async () => {
      const { engine } = world;
      const bucket = await makeBucket(engine, { objectLock: true });
      expect((await engine.bucket(ctx, bucket))?.versioning).toBe("enabled");
      const suspending = engine.changeBucket(ctx, bucket, { versioning: "suspended" });
      expect(await refusalOf(suspending)).toBe("invalid-bucket-state");
      const plain = await makeBucket(engine);
      expect(await refusalOf(engine.changeBucket(ctx, plain, { objectLock: true }))).toBe("invalid-bucket-state");
      await engine.changeBucket(ctx, plain, { versioning: "enabled", objectLock: true });
      expect((await engine.bucket(ctx, plain))?.objectLock).toBe(true);
    });
  });
}
