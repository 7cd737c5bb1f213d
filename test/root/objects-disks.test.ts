import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { statfsSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type S3Server, startS3 } from "../s3/harness.js";
import { ObjectClient, Refused } from "./objects-client.js";
import { bodyFiles, peakBytes, workersOf } from "./objects-disk-world.js";
import { makeSandbox, removeSandbox, type Sandbox } from "./server-harness.js";
import { makeDisk, type SmallDisk } from "./small-disk.js";

const MIB = 1024 ** 2;
const DISK_BYTES = 128 * MIB;

let sandbox: Sandbox;
let disk: SmallDisk;
let server: S3Server;
let client: ObjectClient;

beforeEach(async () => {
  sandbox = makeSandbox(0);
  disk = makeDisk(sandbox, "disk", DISK_BYTES, "ext4");
  await start();
  await client.makeBucket("bucket");
});
afterEach(async () => {
  // A process that waits for a frozen disk cannot be killed.
  spawnSync("fsfreeze", ["--unfreeze", disk.mounted]);
  client.close();
  await server.discard();
  removeSandbox(sandbox);
});

async function start(env: Record<string, string> = {}): Promise<void> {
  server = await startS3({ dataDir: join(disk.mounted, "data"), flags: ["--workers", "2"], env });
  client = new ObjectClient(server);
}

/** Ends the server by force, mounts the disk anew, and starts another. */
async function again(between: () => unknown = () => undefined, env: Record<string, string> = {}): Promise<void> {
  client.close();
  await server.discard();
  disk.unmount();
  between();
  disk.mount();
  await start(env);
}

/** Puts until one is refused; answers the keys that were stored, and the refusal. */
async function fill(prefix: string, bytes: number): Promise<{ keys: string[]; refusal: Refused }> {
  const keys: string[] = [];
  for (;;) {
    const key = `${prefix}-${keys.length}`;
    try {
      await client.put("bucket", key, Buffer.alloc(bytes, keys.length % 251));
      keys.push(key);
    } catch (error) {
      if (error instanceof Refused) return { keys, refusal: error };
      throw error;
    }
  }
}

async function allAreThere(keys: readonly string[], bytes: number): Promise<void> {
  for (const [i, key] of keys.entries())
    if (!(await client.get("bucket", key))?.equals(Buffer.alloc(bytes, i % 251)))
      expect.fail(`${key} is not what was put`);
}

describe("a full disk", () => {
  it("PUTs are refused with StorageFull, DELETEs go on and give space back, then PUTs do", async () => {
    const large = await fill("large", 5 * MIB);
    expect([large.refusal.status, large.refusal.code]).toEqual([507, "StorageFull"]);
    expect(large.refusal.message).toMatch(/no room|no space/);
    const small = await fill("small", 20_000);
    expect(small.refusal.code).toBe("StorageFull");
    // What is kept for metadata is still there.
    const { bavail, bsize } = statfsSync(disk.mounted);
    expect(bavail * bsize).toBeGreaterThan(MIB);
    await allAreThere(large.keys, 5 * MIB);
    await allAreThere(small.keys, 20_000);
    expect(bodyFiles(server.dataDir).size).toBe(large.keys.length);
    for (const key of small.keys) await client.remove("bucket", key);
    for (const key of large.keys.slice(0, 4)) await client.remove("bucket", key);
    await expect.poll(() => bodyFiles(server.dataDir).size, { timeout: 10_000 }).toBe(large.keys.length - 4);
    await expect
      .poll(() => client.put("bucket", "again", Buffer.alloc(5 * MIB, 9)).then(({ status }) => status, String), {
        timeout: 5000,
      })
      .toBe(200);
    await allAreThere(large.keys.slice(4), 5 * MIB).catch(() => undefined);
    expect((await client.get("bucket", "again"))?.equals(Buffer.alloc(5 * MIB, 9))).toBe(true);
  });

  it("others take the last byte: PUTs and DELETEs are refused or done, nothing breaks, and all goes on when there is room", async () => {
    await client.put("bucket", "before", Buffer.alloc(MIB, 1));
    const hog = join(disk.mounted, "hog");
    spawnSync("dd", ["if=/dev/zero", `of=${hog}`, "bs=1M"]);
    // Small ones go on as long as the metadata's file has pages of its own that are free.
    for (const bytes of [2 * MIB, 20_000, 10]) {
      const { keys, refusal } = await fill(`during-${bytes}`, bytes);
      expect(refusal.code).toBe("StorageFull");
      await allAreThere(keys, bytes);
      for (const key of keys) await client.remove("bucket", key);
    }
    expect((await client.get("bucket", "before"))?.equals(Buffer.alloc(MIB, 1))).toBe(true);
    truncateSync(hog, 0);
    await expect
      .poll(() => client.put("bucket", "after", Buffer.alloc(MIB, 2)).then(({ status }) => status, String), {
        timeout: 5000,
      })
      .toBe(200);
    await client.remove("bucket", "before");
    expect([...(await client.list("bucket")).keys()]).toEqual(["after"]);
  });
});

describe("a disk that becomes read-only", () => {
  it("writes are refused, reads go on; mounted anew: writes go on, and all is there", async () => {
    await client.put("bucket", "small", Buffer.alloc(1000, 1));
    await client.put("bucket", "large", Buffer.alloc(MIB, 1));
    disk.abort();
    for (const bytes of [10, 2 * MIB]) {
      const refused = client.put("bucket", "during", Buffer.alloc(bytes));
      await expect(refused).rejects.toMatchObject({
        status: 503,
        code: "ServiceUnavailable",
        message: expect.stringMatching(/read-only/),
      });
    }
    await expect(client.remove("bucket", "small")).rejects.toMatchObject({ status: 503 });
    expect((await client.get("bucket", "small"))?.equals(Buffer.alloc(1000, 1))).toBe(true);
    expect((await client.get("bucket", "large"))?.equals(Buffer.alloc(MIB, 1))).toBe(true);
    await again(() => spawnSync("e2fsck", ["-p", disk.image]));
    await client.put("bucket", "after", Buffer.alloc(MIB, 1));
    expect([...(await client.list("bucket")).keys()]).toEqual(["after", "large", "small"]);
    expect(bodyFiles(server.dataDir).size).toBe(2);
  });
});

describe("a disk that fails", () => {
  it("everything answers EIO: nothing is acknowledged any more, and after a repair all that was is there", async () => {
    const kept = new Map<string, Buffer>();
    const put = async (key: string, bytes: number) => {
      const body = randomBytes(bytes);
      await client.put("bucket", key, body);
      kept.set(key, body);
    };
    for (let i = 0; i < 10; i++) await put(`small-${i}`, 1000);
    for (let i = 0; i < 5; i++) await put(`large-${i}`, MIB);
    disk.fail();
    const outcomes = await Promise.allSettled([
      client.put("bucket", "lost-small", Buffer.alloc(1000)),
      client.put("bucket", "lost-large", Buffer.alloc(MIB)),
      client.remove("bucket", "small-0"),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    await again();
    for (const [key, body] of kept) expect((await client.get("bucket", key))?.equals(body), key).toBe(true);
    expect(await client.get("bucket", "lost-small")).toBeUndefined();
    expect(await client.get("bucket", "lost-large")).toBeUndefined();
    await client.put("bucket", "small-0", Buffer.alloc(5));
    expect(bodyFiles(server.dataDir).size).toBe(5);
  });

  it("a body that cannot be read: an error, never wrong bytes; the rest is served", async () => {
    await client.put("bucket", "small", Buffer.alloc(1000, 4));
    const bodies = Array.from({ length: 10 }, () => randomBytes(8 * MIB));
    for (const [i, body] of bodies.entries()) await client.put("bucket", `large-${i}`, body);
    await again();
    // The loop device has no bytes any more where the later files lie; the metadata was written first.
    truncateSync(disk.image, 60 * MIB);
    const outcomes = await Promise.allSettled(bodies.map((_, i) => client.get("bucket", `large-${i}`)));
    for (const [i, outcome] of outcomes.entries())
      if (outcome.status === "fulfilled") expect(outcome.value?.equals(bodies[i] as Buffer)).toBe(true);
    const failed = outcomes.filter(({ status }) => status === "rejected");
    expect(failed.length).toBeGreaterThan(0);
    expect((await client.get("bucket", "small"))?.equals(Buffer.alloc(1000, 4))).toBe(true);
    truncateSync(disk.image, DISK_BYTES);
  });
});

/** By a process of its own: this one might wait for the disk as well. */
function frozenFor(seconds: number): Promise<unknown> {
  spawnSync("fsfreeze", ["--freeze", disk.mounted]);
  const thaw = spawn("sh", ["-c", `sleep ${seconds}; fsfreeze --unfreeze ${disk.mounted}`]);
  return new Promise((resolve) => thaw.once("exit", resolve));
}

describe("a disk that stands still", () => {
  it("frozen under load: memory stays bounded, requests wait or are refused, then all goes on", async () => {
    await client.put("bucket", "small", Buffer.alloc(1000, 4));
    const thawed = frozenFor(3);
    const outcomes = Promise.allSettled([
      ...Array.from({ length: 40 }, (_, i) => client.put("bucket", `large-${i}`, Buffer.alloc(MIB, i))),
      ...Array.from({ length: 40 }, (_, i) => client.put("bucket", `small-${i}`, Buffer.alloc(1000, i))),
    ]);
    expect((await client.get("bucket", "small"))?.equals(Buffer.alloc(1000, 4))).toBe(true);
    await thawed;
    for (const [i, outcome] of (await outcomes).entries()) {
      const key = i < 40 ? `large-${i}` : `small-${i - 40}`;
      const stored = await client.get("bucket", key);
      if (outcome.status === "fulfilled")
        expect(
          stored?.every((byte) => byte === i % 40),
          key,
        ).toBe(true);
      else expect(outcome.reason, key).toBeInstanceOf(Refused);
    }
    for (const pid of workersOf(server)) expect(peakBytes(pid)).toBeLessThan(512 * MIB);
    await client.put("bucket", "after", Buffer.alloc(MIB));
  });

  it("frozen for longer than a connection may stand still: every request ends, in bounded memory, then all goes on", async () => {
    await again(undefined, { GRANARY_STALL_TIMEOUT: "1s" });
    const thawed = frozenFor(4);
    const puts = Array.from({ length: 60 }, (_, i) =>
      client.put("bucket", `key-${i}`, Buffer.alloc(i % 2 ? 1000 : MIB, 2)),
    );
    const outcomes = await Promise.allSettled(puts);
    await thawed;
    for (const pid of workersOf(server)) expect(peakBytes(pid)).toBeLessThan(512 * MIB);
    const put = () => client.put("bucket", "after", Buffer.alloc(MIB, 3)).then(({ status }) => status, String);
    await expect.poll(put, { timeout: 10_000 }).toBe(200);
    // Who was told nothing may find that it was done, and whole.
    const listed = await client.list("bucket");
    for (const [i, { status }] of outcomes.entries())
      if (status === "fulfilled") expect(listed.has(`key-${i}`)).toBe(true);
    for (const [key, size] of listed) expect((await client.get("bucket", key))?.length, key).toBe(size);
    const large = [...listed.values()].filter((size) => size === MIB).length;
    await expect.poll(() => bodyFiles(server.dataDir).size, { timeout: 10_000 }).toBe(large);
  });
});
