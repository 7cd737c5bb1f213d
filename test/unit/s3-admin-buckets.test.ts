import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type AdminWorld, startAdminWorld } from "./s3-admin-world.js";

let world: AdminWorld;
beforeAll(async () => {
  world = await startAdminWorld();
});
afterAll(() => world?.close());

const create = (body: object) => world.send("POST", "/v1/buckets", { body });
const show = async (name: string) => (await world.send("GET", `/v1/buckets/${name}`)).body;
const change = (name: string, body: object) => world.send("PATCH", `/v1/buckets/${name}`, { body });

const put = (bucket: string, key: string, bytes: Buffer) =>
  world.engine.put(world.context(), {
    ...{ bucket, key, preconditions: {} },
    body: {
      bytes,
      lengthBytes: bytes.length,
      finish: () => ({ md5: "0".repeat(32), checksum: { algorithm: "CRC32", type: "FULL_OBJECT", value: "AAAAAA==" } }),
    },
    attributes: {
      ...{ contentType: "text/plain", system: [], user: [], storageClass: "STANDARD", tags: [] },
      ...{ acl: null, ownerId: "root", retention: null, legalHold: null },
    },
  });

describe("bucket create", () => {
  it("with a name alone: the root user's, empty, without limits, strict", async () => {
    expect(await create({ name: "plain" })).toMatchObject({
      status: 200,
      body: {
        ...{ name: "plain", owner: "root", ownerId: "root", region: "us-east-1", versioning: "off", objectLock: false },
        ...{ durability: "strict", quotaBytes: null, quotaObjects: null, configurations: [] },
        usage: { objects: 0, bytes: 0, deleteMarkers: 0, uploads: 0 },
      },
    });
  });

  it("with all that can be said of it, for a user by name or id", async () => {
    await world.send("POST", "/v1/users", { body: { name: "alice", id: "alices-id" } });
    const wanted = { durability: "relaxed", quotaBytes: 1024, quotaObjects: 2, versioning: true };
    expect((await create({ name: "full", owner: "alice", ...wanted })).body).toMatchObject({
      ...{ owner: "alice", ownerId: "alices-id", durability: "relaxed", quotaBytes: 1024, quotaObjects: 2 },
      versioning: "enabled",
    });
    expect((await create({ name: "by-id", owner: "alices-id" })).body).toMatchObject({ owner: "alice" });
    expect((await create({ name: "locked", objectLock: true })).body).toMatchObject({
      ...{ objectLock: true, versioning: "enabled" },
    });
  });

  it.each([
    [{ name: "plain" }, 409, "already-exists", /plain/],
    [{ name: "x" }, 400, "invalid-argument", /bucket name "x"/],
    [{ name: "Upper" }, 400, "invalid-argument", /bucket name/],
    [{ name: "../etc" }, 400, "invalid-argument", /bucket name/],
    [{ name: "fine", owner: "alcie" }, 404, "not-found", /did you mean "alice"/],
    [{ name: "fine", quotaBytes: -1 }, 400, "invalid-argument", /quotaBytes/],
    [{ name: "fine", quotaBytes: 1.5 }, 400, "invalid-argument", /quotaBytes/],
    [{ name: "fine", durability: "never" }, 400, "invalid-argument", /durability/],
  ])("%j: %d %s", async (body, status, code, message) => {
    const answer = await create(body);
    expect(answer).toMatchObject({ status, body: { code } });
    expect((answer.body as { message: string }).message).toMatch(message);
    if (body.name !== "plain") expect(await world.engine.bucket(world.context(), body.name)).toBeUndefined();
  });
});

describe("bucket show, list, set, delete", () => {
  it("show counts what it holds", async () => {
    await create({ name: "counted" });
    await put("counted", "small", Buffer.from("0123456789"));
    await put("counted", "large", Buffer.alloc(300_000, 1));
    expect(await show("counted")).toMatchObject({
      usage: { objects: 2, bytes: 300_010, deleteMarkers: 0, uploads: 0 },
    });
  });

  it("set changes what it names and leaves the rest; null takes a quota away", async () => {
    await create({ name: "changing", quotaBytes: 10 });
    expect((await change("changing", { quotaObjects: 5 })).body).toMatchObject({ quotaBytes: 10, quotaObjects: 5 });
    expect((await change("changing", { quotaBytes: null })).body).toMatchObject({ quotaBytes: null, quotaObjects: 5 });
    expect((await change("changing", { durability: "relaxed" })).body).toMatchObject({ durability: "relaxed" });
    expect((await change("changing", { versioning: "enabled" })).body).toMatchObject({ versioning: "enabled" });
    expect((await change("changing", { versioning: "suspended" })).body).toMatchObject({ versioning: "suspended" });
  });

  it("object lock goes on and never off, and versioning stays with it", async () => {
    await create({ name: "locking" });
    expect((await change("locking", { objectLock: true })).body).toMatchObject({
      objectLock: true,
      versioning: "enabled",
    });
    expect(await change("locking", { objectLock: false })).toMatchObject({ status: 400 });
    expect((await change("locking", { versioning: "suspended" })).status).toBe(409);
  });

  it("a quota holds at once", async () => {
    await create({ name: "narrow" });
    await put("narrow", "a", Buffer.alloc(100));
    await change("narrow", { quotaBytes: 150 });
    await expect(put("narrow", "b", Buffer.alloc(100))).rejects.toMatchObject({ reason: "quota-exceeded" });
    await change("narrow", { quotaBytes: null });
    await put("narrow", "b", Buffer.alloc(100));
  });

  it("list comes in pages of 1000, in name order", async () => {
    for (let i = 0; i < 1005; i++) {
      const name = `many-${String(i).padStart(4, "0")}`;
      const bucket = { name, ownerId: "root", region: "us-east-1", objectLock: false, durability: "strict" } as const;
      await world.engine.createBucket(world.context(), { ...bucket, quotaBytes: null, quotaObjects: null, config: {} });
    }
    const page = async (after: string) =>
      ((await world.send("GET", `/v1/buckets?after=${after}`)).body as { name: string }[]).map(({ name }) => name);
    const first = await page("m");
    expect([first.length, first[0], first.at(-1)]).toEqual([1000, "many-0000", "many-0999"]);
    expect((await page("many-0999")).slice(0, 5)).toEqual([1000, 1001, 1002, 1003, 1004].map((i) => `many-${i}`));
  }, 120_000);

  it("delete: an empty one goes, one with an object stays", async () => {
    await create({ name: "leaving" });
    await put("leaving", "k", Buffer.from("1"));
    expect(await world.send("DELETE", "/v1/buckets/leaving")).toMatchObject({
      status: 409,
      body: { code: "failed-precondition" },
    });
    await world.engine.delete(world.context(), {
      ...{ bucket: "leaving", key: "k", preconditions: {}, bypassGovernance: false },
    });
    expect((await world.send("DELETE", "/v1/buckets/leaving")).status).toBe(200);
    expect(await show("leaving")).toMatchObject({ code: "not-found" });
  });

  it("one that is not there: not found, with the name that was most likely meant", async () => {
    expect(await show("plian")).toEqual({
      code: "not-found",
      message: 'there is no bucket "plian"; did you mean "plain"?',
    });
    for (const [method, body] of [
      ["PATCH", { quotaBytes: 1 }],
      ["DELETE", undefined],
    ] as const)
      expect(await world.send(method, "/v1/buckets/plian", { body })).toMatchObject({ status: 404 });
  });
});

describe("scrub", () => {
  it("counts every object and byte, of a bucket or of all, and ends with done", async () => {
    const last = (body: unknown) => (Array.isArray(body) ? body : [body]).at(-1) as Record<string, unknown>;
    const one = await world.send("POST", "/v1/scrub", { body: { bucket: "counted" } });
    expect(last(one.body)).toMatchObject({ objects: 2, bytes: 300_010, totalObjects: 2, done: true });
    const all = await world.send("POST", "/v1/scrub", { body: {} });
    expect(last(all.body)).toMatchObject({ objects: 4, bytes: 300_210, done: true });
    for (const line of [one.body, all.body].flat()) expect(line).toMatchObject({ damaged: [] });
  });

  it("a bucket that is not there: not found, before any line", async () => {
    expect(await world.send("POST", "/v1/scrub", { body: { bucket: "countde" } })).toMatchObject({
      status: 404,
      body: { message: expect.stringContaining('did you mean "counted"?') },
    });
  });
});
