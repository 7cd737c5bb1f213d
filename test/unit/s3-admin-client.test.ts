import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ScrubLine, UserView } from "../../objectstore/admin/views.js";
import { connectAdmin, path } from "../../src/cli/admin-client.js";
import type { Context } from "../../src/engines/types.js";
import { claimObjectStore } from "../../src/runtime/server-file.js";
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
});
afterAll(async () => {
  await claim?.release();
  await world?.close();
});

/** A scrub that tells of one object and then looks at the next until it is told to stop. */
function slowScrub(ended: (signal: AbortSignal) => void) {
  const real = world.engine.scrub;
  world.engine.scrub = async function* (ctx: Context) {
    yield { objects: 1, bytes: 1, totalObjects: 2, damaged: [], done: false };
    if (!ctx.signal.aborted) await once(ctx.signal, "abort");
    ended(ctx.signal);
  };
  return () => {
    world.engine.scrub = real;
  };
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
    let tellEnded = (_signal: AbortSignal) => {};
    const ended = new Promise<AbortSignal>((resolve) => (tellEnded = resolve));
    const restore = slowScrub((signal) => tellEnded(signal));
    const stop = new AbortController();
    const lines = (await connectAdmin(world.dataDir)).lines<ScrubLine>("POST", "/v1/scrub", {}, stop.signal);
    await expect(take(lines, () => stop.abort(new Error("stopped by SIGINT")))).rejects.toThrow("stopped by SIGINT");
    expect((await ended).aborted).toBe(true);
    restore();
  });

  it("a server that goes in the middle of a scrub: unavailable, never a scrub that looks done", async () => {
    const restore = slowScrub(() => {});
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
    restore();
  });

  it("an error after the first line comes as that error", async () => {
    const real = world.engine.scrub;
    world.engine.scrub = async function* () {
      yield { objects: 1, bytes: 1, totalObjects: 2, damaged: [], done: false };
      throw new TypeError("hunter2");
    };
    const lines = (await connectAdmin(world.dataDir)).lines<ScrubLine>(
      "POST",
      "/v1/scrub",
      {},
      new AbortController().signal,
    );
    await expect(take(lines, () => {})).rejects.toMatchObject({
      code: "internal",
      message: expect.not.stringContaining("hunter2") as string,
    });
    world.engine.scrub = real;
  });

  it("no server any more: says what to start", async () => {
    await claim.release();
    await expect(connectAdmin(world.dataDir)).rejects.toMatchObject({
      code: "unavailable",
      message: `no granary object store runs on ${world.dataDir}; start one with: granary objectstore --data-dir ${world.dataDir}`,
    });
  });
});
