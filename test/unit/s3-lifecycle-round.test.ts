import { createHash } from "node:crypto";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import pino from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { lifecycleFromXml } from "../../objectstore/lifecycle/document.js";
import { lifecycleRound } from "../../objectstore/lifecycle/round.js";
import type { Lifecycle } from "../../objectstore/lifecycle/rule.js";
import {
  type LocalObjectEngine,
  type ObjectWriter,
  openObjectEngine,
  startObjectWriter,
} from "../../src/engines/local/objects/index.js";
import type { ObjectEngine } from "../../src/engines/object-engine.js";
import type { Context } from "../../src/engines/types.js";
import type { NewBucket } from "../../src/model/bucket.js";
import type { ObjectAttributes } from "../../src/model/object.js";

const DAY = 86_400_000;
let dir: string;
let writer: ObjectWriter;
let engine: LocalObjectEngine;
const ctx: Context = { signal: new AbortController().signal, requestId: "test", log: pino({ level: "silent" }) };

beforeAll(async () => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), "granary-lifecycle-")));
  writer = await startObjectWriter({ dir });
  engine = await openObjectEngine({ dir });
});

afterAll(async () => {
  await engine?.close();
  await writer?.close();
  rmSync(dir, { recursive: true, force: true });
});

const attributes: ObjectAttributes = {
  ...{ contentType: "text/plain", system: [], user: [], storageClass: "STANDARD", tags: [], acl: null, ownerId: "o" },
  ...{ retention: null, legalHold: null },
};

function put(bucket: string, key: string, part: Partial<ObjectAttributes> & { text?: string } = {}) {
  const { text = "body", ...rest } = part;
  const bytes = Buffer.from(text);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(bytes));
  const finish = () => ({
    md5: createHash("md5").update(bytes).digest("hex"),
    checksum: { algorithm: "CRC32", type: "FULL_OBJECT", value: sum.toString("base64") } as const,
  });
  const body = { bytes, lengthBytes: bytes.length, finish };
  return engine.put(ctx, { bucket, key, body, attributes: { ...attributes, ...rest }, preconditions: {} });
}

const remove = (bucket: string, key: string, versionId?: string) =>
  engine.delete(ctx, { bucket, key, versionId, preconditions: {}, bypassGovernance: false });

async function makeBucket(name: string, rules: string, more: Partial<NewBucket> & { versions?: boolean } = {}) {
  const { versions = false, ...rest } = more;
  const lifecycle: Lifecycle = {
    minimumObjectSize: "all_storage_classes_128K",
    rules: lifecycleFromXml(`<LifecycleConfiguration>${rules}</LifecycleConfiguration>`),
  };
  await engine.createBucket(ctx, {
    ...{ name, ownerId: "o", region: "us-east-1", objectLock: false, durability: "strict" },
    ...{ quotaBytes: null, quotaObjects: null, config: { lifecycle: JSON.stringify(lifecycle) }, ...rest },
  });
  if (versions) await engine.changeBucket(ctx, name, { versioning: "enabled" });
}

const rule = (filter: string, actions: string) =>
  `<Rule><Filter>${filter}</Filter><Status>Enabled</Status>${actions}</Rule>`;
const DAYS = "<Expiration><Days>1</Days></Expiration>";

/** Every version as `key version-state`, newest first within a key. */
async function versionsOf(bucket: string): Promise<string[]> {
  const request = { bucket, prefix: "", delimiter: "", keyMarker: "", versionIdMarker: "", limit: 1000 };
  const page = await engine.listVersions(ctx, request);
  return page.items.flatMap((item) =>
    "entry" in item ? [`${item.entry.key}${item.entry.deleteMarker ? " marker" : ""}`] : [],
  );
}

const round = (afterDays: number, of: ObjectEngine = engine, context = ctx) =>
  lifecycleRound(context, of, { lifecycleDayMs: DAY }, Date.now() + afterDays * DAY);

describe("a lifecycle round", () => {
  it("days: objects of the prefix go once they are old enough, others stay", async () => {
    await makeBucket("days", rule("<Prefix>tmp/</Prefix>", DAYS));
    for (const key of ["a", "tmp/a", "tmp/b", "tmp0"]) await put("days", key);
    expect(await round(0)).toMatchObject({ expired: 0, failed: 0 });
    expect(await versionsOf("days")).toHaveLength(4);
    expect(await round(3)).toMatchObject({ expired: 2, removed: 0, failed: 0 });
    expect(await versionsOf("days")).toEqual(["a", "tmp0"]);
    expect(await round(3)).toMatchObject({ expired: 0 });
  });

  it("tags and sizes: those that have them", async () => {
    const tag = "<Tag><Key>k</Key><Value>v</Value></Tag>";
    const large = "<ObjectSizeGreaterThan>10</ObjectSizeGreaterThan>";
    await makeBucket("tags", rule(tag, DAYS) + rule(large, DAYS));
    await put("tags", "tagged", { tags: [["k", "v"]] });
    await put("tags", "tagged otherwise", { tags: [["k", "w"]] });
    await put("tags", "large", { text: "more than ten" });
    await put("tags", "small");
    expect(await round(3)).toMatchObject({ expired: 2 });
    expect(await versionsOf("tags")).toEqual(["small", "tagged otherwise"]);
  });

  it("a bucket with versions: a delete marker comes on top, and the version stays", async () => {
    await makeBucket("kept", rule("", DAYS), { versions: true });
    await put("kept", "k");
    expect(await round(3)).toMatchObject({ expired: 1, removed: 0 });
    expect(await versionsOf("kept")).toEqual(["k marker", "k"]);
    expect(await round(3)).toMatchObject({ expired: 0, removed: 0 });
  });

  it("noncurrent versions: gone but for the newest that are to be kept", async () => {
    const noncurrent =
      "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>2</NewerNoncurrentVersions></NoncurrentVersionExpiration>";
    await makeBucket("noncurrent", rule("", noncurrent), { versions: true });
    const written: string[] = [];
    for (let index = 0; index < 6; index += 1) written.push((await put("noncurrent", "k")).versionId);
    await put("noncurrent", "other");
    expect(await round(3)).toMatchObject({ expired: 0, removed: 3 });
    expect(await versionsOf("noncurrent")).toEqual(["k", "k", "k", "other"]);
    for (const versionId of written.slice(3)) await engine.head(ctx, { bucket: "noncurrent", key: "k", versionId });
  });

  it("delete markers with nothing under them: gone; with something: kept", async () => {
    const markers = "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>";
    await makeBucket("markers", rule("", markers), { versions: true });
    await remove("markers", "alone");
    await put("markers", "covered");
    await remove("markers", "covered");
    expect(await versionsOf("markers")).toEqual(["alone marker", "covered marker", "covered"]);
    expect(await round(0)).toMatchObject({ removed: 1 });
    expect(await versionsOf("markers")).toEqual(["covered marker", "covered"]);
  });

  it("unfinished uploads: ended once they are old enough", async () => {
    const abort =
      "<AbortIncompleteMultipartUpload><DaysAfterInitiation>2</DaysAfterInitiation></AbortIncompleteMultipartUpload>";
    await makeBucket("uploads", rule("<Prefix>u/</Prefix>", abort));
    const upload = { bucket: "uploads", initiatorId: "o", attributes, checksumAlgorithm: null } as const;
    for (const key of ["u/a", "u/b", "v"])
      await engine.createUpload(ctx, { ...upload, key, checksumType: "FULL_OBJECT" });
    expect(await round(1)).toMatchObject({ aborted: 0 });
    expect(await round(4)).toMatchObject({ aborted: 2, failed: 0 });
    expect((await engine.usage(ctx, "uploads")).uploads).toBe(1);
  });

  it("more versions than a page: every one is looked at, also where a page ends within a key", async () => {
    const noncurrent = "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>";
    await makeBucket("many", rule("", noncurrent), { versions: true });
    const keys = Array.from({ length: 40 }, (_, index) => `k${index}`);
    for (let version = 0; version < 30; version += 1) await Promise.all(keys.map((key) => put("many", key)));
    expect(await round(3)).toMatchObject({ removed: 40 * 29, failed: 0 });
    expect(await versionsOf("many")).toHaveLength(40);
  });

  it("rules that are off, and buckets without rules: nothing", async () => {
    await makeBucket("off", `<Rule><Filter/><Status>Disabled</Status>${DAYS}</Rule>`);
    await put("off", "k");
    await round(300);
    expect(await versionsOf("off")).toEqual(["k"]);
  });
});

describe("what a lifecycle round may not do", () => {
  it("a version under object lock: it stays, by retention and by legal hold", async () => {
    const noncurrent = "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>";
    await makeBucket("locks", rule("", noncurrent), { objectLock: true });
    await put("locks", "held", { legalHold: true });
    await put("locks", "kept", { retention: { mode: "GOVERNANCE", untilMs: Date.now() + 100 * DAY } });
    await put("locks", "free");
    for (const key of ["held", "kept", "free"]) await put("locks", key);
    expect(await round(3)).toMatchObject({ removed: 1, locked: 2, failed: 0 });
    expect(await versionsOf("locks")).toEqual(["free", "held", "held", "kept", "kept"]);
  });

  /** The engine, with something done just before versions are ended. */
  function meanwhile(what: () => Promise<unknown>): ObjectEngine {
    return new Proxy<ObjectEngine>(engine, {
      get(target, name) {
        if (name !== "deleteMany") return Reflect.get(target, name).bind(target);
        return async (...args: Parameters<ObjectEngine["deleteMany"]>) => {
          await what();
          return target.deleteMany(...args);
        };
      },
    });
  }

  it("a write between the look and the end: it is not lost, with and without versions", async () => {
    for (const versions of [false, true]) {
      const name = `raced-${versions}`;
      await makeBucket(name, rule("", DAYS), { versions });
      await put(name, "k");
      const counts = await round(
        3,
        meanwhile(() => put(name, "k", { text: "newer" })),
      );
      expect(counts).toMatchObject({ expired: 0, changed: 1, failed: 0 });
      expect((await engine.head(ctx, { bucket: name, key: "k" })).sizeBytes).toBe(5);
      await engine.changeBucket(ctx, name, { config: { lifecycle: null } });
    }
  });

  it("a noncurrent version, or delete marker, that becomes current again: it stays", async () => {
    const noncurrent = "<NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>";
    await makeBucket("back", rule("", noncurrent), { versions: true });
    await put("back", "object");
    await remove("back", "marked");
    const newer = [await put("back", "object"), await put("back", "marked")];
    const removeNewer = () => Promise.all(newer.map(({ key, versionId }) => remove("back", key, versionId)));
    expect(await round(3, meanwhile(removeNewer))).toMatchObject({ removed: 0, changed: 2, failed: 0 });
    expect(await versionsOf("back")).toEqual(["marked marker", "object"]);
  });

  it("a null marker that a write replaces, under the same version id: the write stays", async () => {
    const markers = "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>";
    await makeBucket("null-marker", rule("", markers), { versions: true });
    await engine.changeBucket(ctx, "null-marker", { versioning: "suspended" });
    await remove("null-marker", "k");
    const counts = await round(
      0,
      meanwhile(() => put("null-marker", "k")),
    );
    expect(counts).toMatchObject({ removed: 0, changed: 1, failed: 0 });
    expect((await engine.head(ctx, { bucket: "null-marker", key: "k" })).sizeBytes).toBe(4);
  });

  it("a damaged configuration: counted, and the other buckets' rules are followed", async () => {
    await makeBucket("damaged", rule("", DAYS), { config: { lifecycle: '{"rules":"all"}' } });
    await put("damaged", "k");
    await makeBucket("sound", rule("", DAYS));
    await put("sound", "k");
    expect((await round(3)).failed).toBe(1);
    expect([await versionsOf("damaged"), await versionsOf("sound")]).toEqual([["k"], []]);
    await engine.changeBucket(ctx, "damaged", { config: { lifecycle: null } });
  });

  it("a server that stops: nothing more is ended", async () => {
    await makeBucket("stopping", rule("", DAYS));
    await put("stopping", "k");
    const stopped = { ...ctx, signal: AbortSignal.abort() };
    expect(await round(3, engine, stopped)).toMatchObject({ buckets: 0, expired: 0 });
    expect(await versionsOf("stopping")).toEqual(["k"]);
  });
});
