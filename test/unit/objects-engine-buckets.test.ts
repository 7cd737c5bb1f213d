import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { User } from "../../src/engines/identity-store.js";
import {
  ATTRIBUTES,
  ctx,
  type EngineWorld,
  expectSound,
  get,
  linesOf,
  makeBucket,
  makeEngineWorld,
  NEW_BUCKET,
  put,
  refusalOf,
  remove,
  versionsOf,
} from "./objects-engine-world.js";

let world: EngineWorld;
beforeAll(async () => {
  world = await makeEngineWorld();
});
afterEach(() => expectSound(world.dir));
afterAll(() => world.close());

describe("buckets", () => {
  it("made, changed and removed: revisions grow, and a new one of an old name is empty", async () => {
    const { engine } = world;
    const bucket = await makeBucket(engine, { name: "renewed", config: { cors: "[]" } });
    expect(await refusalOf(makeBucket(engine, { name: bucket }))).toBe("bucket-exists");
    const before = await engine.bucket(ctx, bucket);
    const { revision = 0 } = before ?? {};
    const changed = await engine.changeBucket(ctx, bucket, { config: { policy: "{}", cors: null } }, revision);
    expect([changed.config, changed.revision > revision]).toEqual([{ policy: "{}" }, true]);
    expect(await refusalOf(engine.changeBucket(ctx, bucket, { quotaBytes: 1 }, revision))).toBe("conflict");
    expect(await engine.bucket(ctx, bucket)).toBe(await engine.bucket(ctx, bucket));
    await put(engine, bucket, "k");
    expect(await refusalOf(engine.deleteBucket(ctx, bucket))).toBe("bucket-not-empty");
    await remove(engine, bucket, "k");
    await engine.deleteBucket(ctx, bucket);
    expect(await engine.bucket(ctx, bucket)).toBeUndefined();
    const calls = [
      () => put(engine, bucket, "k"),
      () => engine.deleteBucket(ctx, bucket),
      () => engine.usage(ctx, bucket),
    ];
    for (const call of calls) expect(await refusalOf(call())).toBe("no-such-bucket");
    await makeBucket(engine, { name: bucket });
    const usage = await engine.usage(ctx, bucket);
    expect(usage).toEqual({ objects: 0, bytes: 0, deleteMarkers: 0, uploads: 0 });
  });

  it("made with versions: in one commit, so that there is no moment without them", async () => {
    const { engine } = world;
    const states = { enabled: "enabled", suspended: "suspended", off: "off" } as const;
    for (const versioning of Object.values(states)) {
      const made = await engine.createBucket(ctx, { ...NEW_BUCKET, name: `made-${versioning}`, versioning });
      expect(made.versioning).toBe(versioning);
      expect(await engine.bucket(ctx, made.name)).toMatchObject({ versioning, revision: made.revision });
    }
    const lock = { ...NEW_BUCKET, name: "made-locked", objectLock: true, versioning: "off" } as const;
    expect((await engine.createBucket(ctx, lock)).versioning).toBe("enabled");
  });

  it("listed: in name order, by prefix, behind a name, of one owner", async () => {
    const { engine } = world;
    for (const [name, ownerId] of [
      ["l-b", "bob"],
      ["l-a", "alice"],
      ["l-a.c", "bob"],
      ["l", "bob"],
    ] as const)
      await makeBucket(engine, { name, ownerId });
    const names = async (request: { prefix: string; after?: string; limit?: number; ownerId?: string }) =>
      (await engine.buckets(ctx, { after: "", limit: 100, ...request })).map(({ name }) => name);
    expect(await names({ prefix: "l" })).toEqual(["l", "l-a", "l-a.c", "l-b"]);
    expect(await names({ prefix: "l-a" })).toEqual(["l-a", "l-a.c"]);
    expect(await names({ prefix: "l", after: "l-a" })).toEqual(["l-a.c", "l-b"]);
    expect(await names({ prefix: "l-", after: "l" })).toEqual(["l-a", "l-a.c", "l-b"]);
    expect(await names({ prefix: "l", after: "m" })).toEqual([]);
    expect(await names({ prefix: "l", ownerId: "bob", limit: 2 })).toEqual(["l", "l-a.c"]);
    expect(await names({ prefix: "x".repeat(300) })).toEqual([]);
  });

  it("only delete markers left: not empty", async () => {
    const { engine } = world;
    const bucket = await makeBucket(engine, { versioning: "enabled" });
    await remove(engine, bucket, "k");
    expect(await refusalOf(engine.deleteBucket(ctx, bucket))).toBe("bucket-not-empty");
    expect(await versionsOf(engine, bucket)).toEqual(["k: id marker latest"]);
  });
});

describe("quotas", () => {
  it.each([
    ["bytes", { quotaBytes: 100 }, 10, 10],
    ["bytes in files", { quotaBytes: 20_000 }, 2000, 10],
    ["objects", { quotaObjects: 7 }, 10, 7],
  ])("64 puts at once against a quota of %s: exactly as many as fit", async (_what, quota, size, fitting) => {
    const { engine } = world;
    const bucket = await makeBucket(engine, quota);
    const puts = Array.from({ length: 64 }, (_, i) => refusalOf(put(engine, bucket, `k${i}`, "x".repeat(size))));
    const outcomes = await Promise.all(puts);
    expect(outcomes.filter((outcome) => outcome === "fulfilled")).toHaveLength(fitting);
    expect(outcomes.filter((outcome) => outcome === "quota-exceeded")).toHaveLength(64 - fitting);
    expect((await engine.usage(ctx, bucket)).objects).toBe(fitting);
  });

  it("full: what replaces as much or less still goes, and room that was made can be used", async () => {
    const { engine } = world;
    const bucket = await makeBucket(engine, { quotaBytes: 10, quotaObjects: 2 });
    await put(engine, bucket, "a", "12345");
    await put(engine, bucket, "b", "12345");
    await put(engine, bucket, "a", "54321");
    expect(await refusalOf(put(engine, bucket, "a", "123456"))).toBe("quota-exceeded");
    expect(await get(engine, bucket, "a")).toBe("54321");
    await put(engine, bucket, "a", "");
    expect(await refusalOf(put(engine, bucket, "c", ""))).toBe("quota-exceeded");
    await put(engine, bucket, "b", "1234567890");
    // Less than it holds already: nothing more, but nothing is lost.
    await engine.changeBucket(ctx, bucket, { quotaBytes: 1 });
    await put(engine, bucket, "b", "123456789");
    expect(await engine.usage(ctx, bucket)).toEqual({ objects: 2, bytes: 9, deleteMarkers: 0, uploads: 0 });
  });

  it("versions count, and so do copies and renames into a versioned bucket", async () => {
    const { engine } = world;
    const bucket = await makeBucket(engine, { quotaBytes: 12, versioning: "enabled" });
    const { versionId, generation } = await put(engine, bucket, "a", "12345");
    await put(engine, bucket, "b", "12345");
    const copying = engine.copy(ctx, {
      ...{ source: { bucket, key: "a", versionId, generation }, bucket, key: "b" },
      ...{ attributes: ATTRIBUTES, preconditions: {} },
    });
    expect(await refusalOf(copying)).toBe("quota-exceeded");
    const both = { fromPreconditions: {}, toPreconditions: {} };
    expect(await refusalOf(engine.rename(ctx, { bucket, from: "a", to: "c", ...both }))).toBe("quota-exceeded");
    await remove(engine, bucket, "b", { versionId: "null" });
    expect((await engine.usage(ctx, bucket)).bytes).toBe(10);
  });
});

describe("copies", () => {
  it("a copy of what has changed since it was looked at: conflict", async () => {
    const { engine } = world;
    const bucket = await makeBucket(engine);
    const { versionId, generation } = await put(engine, bucket, "k", "1");
    await put(engine, bucket, "k", "2");
    const source = { bucket, key: "k", versionId, generation };
    const copying = engine.copy(ctx, { source, bucket, key: "to", attributes: ATTRIBUTES, preconditions: {} });
    expect(await refusalOf(copying)).toBe("conflict");
    const request = { bucket, prefix: "", delimiter: "", after: "", limit: 10 };
    expect(linesOf(await engine.list(ctx, request), ({ key }) => key)).toEqual(["k"]);
  });
});

describe("users", () => {
  const user = (name: string, change: Partial<User> = {}): Omit<User, "revision"> => ({
    ...{ name, id: `id-${name}`, displayName: name, email: `${name}@example.com`, disabled: false, createdMs: 1 },
    ...{ keys: [{ id: `KEY-${name}`, secret: "secret", createdMs: 1, disabled: false }], policies: [], ...change },
  });

  it("names, ids, emails and keys: taken while the user is there, the id for ever", async () => {
    const { identities } = world.engine;
    await identities.create(ctx, user("ann"));
    const [key] = user("ann").keys;
    const taken = [user("ann"), user("bea", { id: "id-ann" }), user("bea", { email: "ann@example.com" })];
    for (const other of [...taken, user("bea", { keys: key ? [key] : [] })])
      expect(await refusalOf(identities.create(ctx, other))).toBe("already-exists");
    expect(identities.byAccessKey("KEY-bea")).toBeUndefined();
    await identities.create(ctx, user("bea", { email: "" }));
    await identities.create(ctx, user("cleo", { email: "" }));
    const addKey = { id: "KEY-ann", secret: "other", createdMs: 2, disabled: false };
    expect(await refusalOf(identities.change(ctx, "bea", { addKey }))).toBe("already-exists");
    expect(await refusalOf(identities.change(ctx, "bea", { email: "ann@example.com" }))).toBe("already-exists");
    await identities.delete(ctx, "ann");
    for (const found of [identities.byName("ann"), identities.byId("id-ann"), identities.byAccessKey("KEY-ann")])
      expect(found).toBeUndefined();
    expect(await refusalOf(identities.create(ctx, user("ann")))).toBe("already-exists");
    await identities.create(ctx, user("ann", { id: "id-ann-2" }));
    expect(identities.byEmail("ann@example.com")?.id).toBe("id-ann-2");
  });

  it("changed: what was not named stays; unknown keys and policies are not found", async () => {
    const { identities } = world.engine;
    await identities.create(ctx, user("dora"));
    const addKey = { id: "KEY-2", secret: "second", createdMs: 2, disabled: false };
    await identities.change(ctx, "dora", { addKey, attach: { name: "b", document: "{}" } });
    await identities.change(ctx, "dora", { attach: { name: "a", document: "{}" }, email: "new@example.com" });
    await identities.change(ctx, "dora", { changeKey: { id: "KEY-2", disabled: true }, removeKey: "KEY-dora" });
    const changed = identities.byName("dora");
    expect(changed?.keys).toEqual([{ ...addKey, disabled: true }]);
    expect(changed?.policies.map(({ name }) => name)).toEqual(["a", "b"]);
    expect(identities.byAccessKey("KEY-2")?.key.disabled).toBe(true);
    expect(identities.byAccessKey("KEY-dora")).toBeUndefined();
    expect(identities.byEmail("dora@example.com")).toBeUndefined();
    expect(identities.byEmail("new@example.com")).toBe(changed);
    for (const change of [{ removeKey: "KEY-dora" }, { changeKey: { id: "no", disabled: true } }, { detach: "no" }])
      expect(await refusalOf(identities.change(ctx, "dora", change))).toBe("not-found");
    expect(await refusalOf(identities.delete(ctx, "nobody"))).toBe("not-found");
  });

  it("who owns a bucket: stays", async () => {
    const { engine } = world;
    await engine.identities.create(ctx, user("eve"));
    const bucket = await makeBucket(engine, { ownerId: "id-eve" });
    expect(await refusalOf(engine.identities.delete(ctx, "eve"))).toBe("failed-precondition");
    await engine.deleteBucket(ctx, bucket);
    await engine.identities.delete(ctx, "eve");
  });
});
