import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { WriterClient } from "../../src/engines/local/objects/client.js";
import { openObjectEngine, startObjectWriter } from "../../src/engines/local/objects/index.js";
import { socketPath } from "../../src/engines/local/objects/paths.js";
import {
  ATTRIBUTES,
  ctx,
  digestOf,
  type EngineWorld,
  expectSound,
  get,
  makeBucket,
  makeEngineWorld,
  NEW_BUCKET,
  put,
  refusalOf,
  remove,
} from "./objects-engine-world.js";

describe("processes of one store", () => {
  let world: EngineWorld;
  let neighbour: ChildProcess;

  beforeAll(async () => {
    world = await makeEngineWorld();
    neighbour = fork(join(import.meta.dirname, "objects-engine-neighbour.mjs"), [world.dir]);
    await once(neighbour, "message");
  });

  afterAll(async () => {
    neighbour.send({ act: "close" });
    await once(neighbour, "exit");
    await world.close();
  });

  async function ask(act: "head" | "put", request: object): Promise<{ etag?: string; error?: string }> {
    neighbour.send({ act, request });
    const [answer] = await once(neighbour, "message");
    return answer;
  }

  it("what one was told of, the other sees at once, both ways", async () => {
    const { engine } = world;
    const bucket = await makeBucket(engine);
    for (let i = 0; i < 100; i++) {
      const ours = await put(engine, bucket, "k", `ours ${i}`);
      expect(await ask("head", { bucket, key: "k" })).toEqual({ etag: ours.etag });
      const digest = digestOf(Buffer.from(`theirs ${i}`));
      const request = { bucket, key: "k", text: `theirs ${i}`, digest, attributes: ATTRIBUTES, preconditions: {} };
      expect(await ask("put", request)).toEqual({ etag: digest.md5 });
      expect(await get(engine, bucket, "k")).toBe(`theirs ${i}`);
      await remove(engine, bucket, "k");
      expect(await ask("head", { bucket, key: "k" })).toEqual({ error: "no-such-key" });
    }
    await expectSound(world.dir);
  });

  it("both write the same keys at once: each call has its own answer, and quota and usage are exact", async () => {
    const { engine } = world;
    const bucket = await makeBucket(engine, { quotaObjects: 20 });
    const theirs = (async () => {
      let done = 0;
      for (let i = 0; i < 60; i++) {
        const text = `theirs ${i}`;
        const request = { bucket, key: `k${i % 30}`, text, digest: digestOf(Buffer.from(text)) };
        if ((await ask("put", { ...request, attributes: ATTRIBUTES, preconditions: {} })).etag) done++;
      }
      return done;
    })();
    const ours = Array.from({ length: 60 }, (_unused, i) => refusalOf(put(engine, bucket, `k${i % 30}`, `ours ${i}`)));
    expect(new Set(await Promise.all(ours))).toEqual(new Set(["fulfilled", "quota-exceeded"]));
    expect(await theirs).toBeGreaterThan(0);
    expect((await engine.usage(ctx, bucket)).objects).toBe(20);
    await expectSound(world.dir);
  });
});

describe("the writer", () => {
  const dirs: string[] = [];
  const newDir = () => {
    const dir = mkdtempSync(join(tmpdir(), "granary-writer-"));
    dirs.push(dir);
    return dir;
  };
  afterEach(() => {
    for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
  });

  it("away: calls are unavailable, reads go on; back: calls are done again", async () => {
    const dir = newDir();
    const writer = await startObjectWriter({ dir });
    const engine = await openObjectEngine({ dir });
    const bucket = await makeBucket(engine);
    await put(engine, bucket, "k");
    await writer.close();
    await vi.waitFor(async () => expect(await refusalOf(put(engine, bucket, "l"))).toBe("unavailable"));
    expect(await refusalOf(engine.probe(ctx))).toBe("failed-precondition");
    expect(await get(engine, bucket, "k")).toBe("k");
    const again = await startObjectWriter({ dir });
    await vi.waitFor(async () => expect(await refusalOf(engine.probe(ctx))).toBe("fulfilled"), 5000);
    await put(engine, bucket, "l");
    await engine.close();
    await again.close();
  });

  it("a second one on the same store: refused, and the first serves on", async () => {
    const dir = newDir();
    const writer = await startObjectWriter({ dir });
    const engine = await openObjectEngine({ dir });
    expect(await refusalOf(startObjectWriter({ dir }))).toBe("failed-precondition");
    await makeBucket(engine);
    await engine.close();
    await writer.close();
  });

  it("a folder whose socket would have too long a path: refused, naming it", async () => {
    const dir = join(newDir(), "d".repeat(100));
    await expect(startObjectWriter({ dir })).rejects.toThrow(/writer\.sock is longer than a unix socket's 107 bytes/);
  });

  it("a call that was cancelled before it was made, and one too large to send: refused, and others go on", async () => {
    const dir = newDir();
    const writer = await startObjectWriter({ dir });
    const engine = await openObjectEngine({ dir });
    const bucket = await makeBucket(engine);
    const cancelled = { ...ctx, signal: AbortSignal.abort() };
    expect(await refusalOf(engine.createBucket(cancelled, { ...NEW_BUCKET, name: "never" }))).toBe("cancelled");
    const policy = "x".repeat(65 * 1024 ** 2);
    expect(await refusalOf(engine.changeBucket(ctx, bucket, { config: { policy } }))).toBe("invalid-argument");
    await put(engine, bucket, "k");
    expect(await engine.bucket(ctx, "never")).toBeUndefined();
    await engine.close();
    await writer.close();
  });

  it("garbage: what is being read is passed over, however much it is", async () => {
    const dir = newDir();
    const writer = await startObjectWriter({ dir });
    const engine = await openObjectEngine({ dir, inlineBytes: 10 });
    const bucket = await makeBucket(engine);
    const keys = ["a", "b", "c", "d", "e"];
    for (const key of keys) await put(engine, bucket, key, "longer than what lies in the metadata");
    const held = await Promise.all(keys.slice(0, 4).map((key) => engine.open(ctx, { bucket, key })));
    for (const key of keys) await remove(engine, bucket, key);
    const asks = new WriterClient(socketPath(dir), () => []);
    await asks.connect(1000);
    expect(await asks.call("takeGarbage", { limit: 2, after: 0 })).toHaveLength(1);
    for (const object of held.slice(1)) object.close();
    const free = await asks.call("takeGarbage", { limit: 10, after: 0 });
    expect(free).toHaveLength(4);
    expect(await asks.call("takeGarbage", { limit: 2, after: free[0] as number })).toEqual(free.slice(1, 3));
    expect(await asks.call("takeGarbage", { limit: 2, after: free[3] as number })).toEqual([]);
    asks.close();
    await engine.close();
    await writer.close();
  });
});
