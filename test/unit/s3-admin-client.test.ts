import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ScrubLine, UserView } from "../../objectstore/admin/views.js";
import { connectAdmin, path } from "../../src/cli/admin-client.js";
import { claimObjectStore } from "../../src/runtime/server-file.js";
import { DIGEST } from "./bodies-world.js";
import { type AdminWorld, startAdminWorld } from "./s3-admin-world.js";

let world: AdminWorld;
let claim: Awaited<ReturnType<typeof claimObjectStore>>;
const place = () => ({
  s3Endpoint: "http://127.0.0.1:1",
  adminSocket: world.socketPath,
  adminTokenFile: world.tokenFile,
});
beforeAll(async () => {
  world = await startAdminWorld();
  claim = await claimObjectStore(world.dataDir);
  await fill();
});
afterAll(async () => {
  await claim?.release();
  await world?.close();
});

const BODY = Buffer.alloc(64 * 1024 ** 2, 7);
const COPIES = 2000;
const SETTLED = { timeout: 20_000 };

/** Objects that share one body: a scrub reads it for each of them, 125 GiB in all, and takes as long as a test may need. */
async function fill(): Promise<void> {
  const { engine } = world;
  const attributes = {
    ...{ contentType: "text/plain", system: [], user: [], storageClass: "STANDARD", tags: [] },
    ...{ acl: null, ownerId: "root", retention: null, legalHold: null },
  } as const;
  const config = { quotaBytes: null, quotaObjects: null, config: {} };
  await engine.createBucket(world.context(), {
    ...{ name: "large", ownerId: "root", region: "us-east-1", objectLock: false, durability: "relaxed", ...config },
  });
  const body = { bytes: BODY, lengthBytes: BODY.length, finish: () => DIGEST };
  const request = { bucket: "large", attributes, preconditions: {} };
  const { versionId, generation } = await engine.put(world.context(), { ...request, key: "source", body });
  const source = { bucket: "large", key: "source", versionId, generation };
  await Promise.all(
    Array.from({ length: COPIES }, (_, i) => engine.copy(world.context(), { ...request, key: `copy-${i}`, source })),
  );
}

/** Bytes that this process, the engine's too, has read so far. */
const readBytes = () => Number(/^rchar: (\d+)$/m.exec(readFileSync("/proc/self/io", "utf8"))?.[1]);

/** Bytes that are read within a while. */
async function readMeanwhile(): Promise<number> {
  const before = readBytes();
  await new Promise((resolve) => setTimeout(resolve, 200));
  return readBytes() - before;
}

const take = async (lines: AsyncIterable<ScrubLine>, onFirst: () => void) => {
  let taken = 0;
  for await (const _line of lines) if (++taken === 1) onFirst();
  return taken;
};

describe("the client of the admin API", () => {
  it("a server that is starting is waited for", async () => {
    const connecting = connectAdmin(world.dataDir);
    await claim.announce(place());
    expect(await (await connecting).call<UserView[]>("GET", "/v1/users")).toEqual([]);
  });

  it("names with anything in them stay one segment of the path", async () => {
    expect(path`/v1/users/${"a/b"}/keys/${"?c=1#d %"}`).toBe("/v1/users/a%2Fb/keys/%3Fc%3D1%23d%20%25");
    const admin = await connectAdmin(world.dataDir);
    await expect(admin.call("GET", path`/v1/users/${"../buckets"}`)).rejects.toMatchObject({ code: "not-found" });
  });

  it("an error comes with the server's code and words", async () => {
    const admin = await connectAdmin(world.dataDir);
    await expect(admin.call("POST", "/v1/users", { name: "" })).rejects.toMatchObject({
      code: "invalid-argument",
      message: expect.stringMatching(/^name: /),
    });
  });

  it("stopped in the middle of a scrub: the client ends with why, and the server's work ends too", async () => {
    const stop = new AbortController();
    const lines = (await connectAdmin(world.dataDir)).lines<ScrubLine>("POST", "/v1/scrub", {}, stop.signal);
    await expect(take(lines, () => stop.abort(new Error("stopped by SIGINT")))).rejects.toThrow("stopped by SIGINT");
    await expect.poll(readMeanwhile, SETTLED).toBeLessThan(BODY.length / 64);
  });

  it("a server that goes in the middle of a scrub: unavailable, never a scrub that looks done", async () => {
    const lines = (await connectAdmin(world.dataDir)).lines<ScrubLine>(
      "POST",
      "/v1/scrub",
      {},
      new AbortController().signal,
    );
    let restarted: Promise<void> | undefined;
    const stopping = take(lines, () => {
      restarted ??= world.restart();
    });
    await expect(stopping).rejects.toMatchObject({ code: "unavailable" });
    // The next test finds a server again.
    await restarted;
    await expect.poll(readMeanwhile, SETTLED).toBeLessThan(BODY.length / 64);
  });

  it("an error after the first line comes as that error", async () => {
    // Where a folder should be lies a file, which is no damage of a body and nothing that a scrub expects.
    const bodies = join(world.dataDir, "objects", "bodies");
    const [folder = ""] = readdirSync(bodies).map((name) => join(bodies, name));
    renameSync(folder, `${folder}-away`);
    writeFileSync(folder, "");
    const lines = (await connectAdmin(world.dataDir)).lines<ScrubLine>(
      "POST",
      "/v1/scrub",
      {},
      new AbortController().signal,
    );
    await expect(take(lines, () => {})).rejects.toMatchObject({
      code: "internal",
      message: expect.stringMatching(/^internal error; the log has it as request/) as string,
    });
    expect(world.log()).toContain("ENOTDIR");
    rmSync(folder);
    renameSync(`${folder}-away`, folder);
  });

  it("no server any more: says what to start", async () => {
    await claim.release();
    await expect(connectAdmin(world.dataDir)).rejects.toMatchObject({
      code: "unavailable",
      message: `no granary object store runs on ${world.dataDir}; start one with: granary objectstore --data-dir ${world.dataDir}`,
    });
  });
});
