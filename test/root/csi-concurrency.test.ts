import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bytes, type Calls, callsOf, fromVolume, MIB, mount, tool } from "./csi-requests.js";
import {
  failureOf,
  loopsUnder,
  makeSandbox,
  mountsUnder,
  removeSandbox,
  type Sandbox,
  startServer,
  type TestServer,
} from "./server-harness.js";

let sandbox: Sandbox;
let server: TestServer | undefined;

beforeEach(() => {
  sandbox = makeSandbox();
});

afterEach(async () => {
  await server?.stop();
  removeSandbox(sandbox);
});

async function start(env: Record<string, string> = {}): Promise<Calls> {
  server = await startServer(sandbox, { env });
  return callsOf(server.client, sandbox);
}

/** A tool in a folder that comes first in PATH: it hangs for as long as the file `hang` is there. */
function hangingTool(name: string): { env: Record<string, string>; hang: string; begun: string; marker: string } {
  const bin = join(sandbox.dir, "bin");
  const [hang, begun] = [join(sandbox.dir, "hang"), join(sandbox.dir, "begun")];
  // Distinct from any other sleep on this machine.
  const marker = `${600 + Math.random()}`;
  mkdirSync(bin);
  writeFileSync(hang, "");
  const real = tool("which", name).trim();
  const script = `#!/bin/sh\nif [ -e ${hang} ]; then : > ${begun}; sleep ${marker}; fi\nexec ${real} "$@"\n`;
  writeFileSync(join(bin, name), script);
  chmodSync(join(bin, name), 0o755);
  return { env: { PATH: `${bin}:${process.env.PATH}` }, hang, begun, marker };
}

/** Processes whose command line holds the text. */
const processesWith = (text: string) =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(text);
      } catch {
        // It ended while this looked.
        return false;
      }
    });

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** `Operation NAME has been running on KEY for N ms`. */
const ABORTED_TELLS = /^[A-Z]\w+( .+)? has been running on .+ for \d+ ms/;

describe("100 parallel calls", () => {
  it("rule 37: mixed over same and different names: one volume a name, OK or ABORTED, no lock left", async () => {
    const csi = await start();
    const client = server?.client;
    const NAMES = 10;
    const names = Array.from({ length: NAMES }, (_unused, i) => `name-${i}`);
    const expectDue = async (call: Promise<unknown>) => {
      const failure = await failureOf(call);
      if (failure.code === "OK") return "OK";
      expect(failure).toEqual({ code: "ABORTED", details: expect.stringMatching(ABORTED_TELLS) as string });
      return "ABORTED";
    };
    const creates = await Promise.all(
      Array.from({ length: 100 }, (_unused, i) => expectDue(csi.create(names[i % NAMES] ?? ""))),
    );
    expect(creates.filter((code) => code === "OK").length).toBeGreaterThanOrEqual(NAMES);
    expect(creates.filter((code) => code === "ABORTED").length).toBeGreaterThan(0);
    const { entries } = (await client?.call("Controller", "ListVolumes", {})) ?? {};
    expect(entries).toHaveLength(NAMES);
    const ids = await Promise.all(names.map(async (name) => (await csi.create(name)).volume_id));
    expect(new Set(ids).size).toBe(NAMES);

    const mixed = await Promise.all(
      Array.from({ length: 100 }, (_unused, i) => {
        const id = ids[i % NAMES] ?? "";
        const operations = [
          () => csi.snapshot(`snapshot-${i % NAMES}`, id),
          () => csi.expand(id, 64 * MIB),
          () => csi.controllerPublish(id),
          () => csi.attach({ volume_id: id, volume_context: {} }),
          () => csi.create(`clone-${i % NAMES}`, { volume_content_source: fromVolume(id), capacity_range: null }),
        ];
        return expectDue((operations[Math.floor(i / NAMES) % operations.length] as () => Promise<unknown>)());
      }),
    );
    expect(mixed.filter((code) => code === "OK").length).toBeGreaterThanOrEqual(NAMES);

    // Every name can be operated on again, and every step taken back.
    for (const [i, id] of ids.entries()) {
      await csi.expand(id, 96 * MIB);
      await csi.snapshot(`snapshot-${i}`, id);
      const clone = await csi.create(`clone-${i}`, { volume_content_source: fromVolume(id), capacity_range: null });
      await csi.attach({ volume_id: id, volume_context: {} });
      await csi.detach(id);
      await csi.remove(clone.volume_id);
    }
    const deletes = await Promise.all(
      Array.from({ length: 100 }, (_unused, i) => expectDue(csi.remove(ids[i % NAMES] ?? ""))),
    );
    expect(deletes.filter((code) => code === "OK").length).toBeGreaterThanOrEqual(NAMES);
    const left = await client?.call("Controller", "ListVolumes", {});
    expect(left?.entries).toEqual([]);
    const snapshots = await client?.call("Controller", "ListSnapshots", {});
    expect(snapshots?.entries).toHaveLength(NAMES);
    expect(readdirSync(join(sandbox.poolDir, "volumes"))).toEqual([]);
    expect(mountsUnder(sandbox.dir)).toEqual([sandbox.poolDir]);
    expect(loopsUnder(sandbox.dir)).toHaveLength(1);
  });
});

describe("NodeStageVolume", () => {
  it("rule 37: another operation on the same volume is running: ABORTED telling which, and for how long", async () => {
    const { env, hang, begun } = hangingTool("mkfs.ext4");
    const csi = await start(env);
    const volume = await csi.create("busy");
    const { publish_context = {} } = await csi.controllerPublish(volume.volume_id);
    const first = csi.stage(volume, publish_context, mount(), csi.staging(volume.volume_id), 3000);
    const firstEnds = failureOf(first);
    await until(() => existsSync(begun));
    for (const second of [
      csi.stage(volume, publish_context),
      csi.unstage(volume.volume_id),
      csi.publish(volume),
      csi.unpublish(volume.volume_id),
    ]) {
      const failure = await failureOf(second);
      expect(failure.code).toBe("ABORTED");
      expect(failure.details).toMatch(/NodeStageVolume.*\d+ ms/);
    }
    // A volume of its own is not held up.
    const other = await csi.create("idle", { capacity_range: bytes(32 * MIB) });
    await csi.snapshot("idle", other.volume_id);
    rmSync(hang);
    expect((await firstEnds).code).toBe("DEADLINE_EXCEEDED");
  });

  it("a hung mkfs ends with the request's deadline, leaves no process, and the next request works", async () => {
    const { env, hang, begun, marker } = hangingTool("mkfs.ext4");
    const csi = await start(env);
    const volume = await csi.create("hung");
    const { publish_context = {} } = await csi.controllerPublish(volume.volume_id);
    const path = csi.staging(volume.volume_id);
    const failure = await failureOf(csi.stage(volume, publish_context, mount(), path, 1000));
    expect(failure.code).toBe("DEADLINE_EXCEEDED");
    expect(existsSync(begun)).toBe(true);
    await until(() => processesWith(marker).length === 0);
    await until(() => loopsUnder(sandbox.dir).length === 1);
    expect(mountsUnder(sandbox.dir)).toEqual([sandbox.poolDir]);
    rmSync(hang);
    await csi.stage(volume, publish_context);
    expect(mountsUnder(sandbox.dir)).toContain(path);
    await csi.detach(volume.volume_id);
    await csi.remove(volume.volume_id);
  });
});

describe("CreateVolume", () => {
  it("a client that goes away while its call runs leaves no lock, and its retry gets the one volume", async () => {
    const { env, hang, begun, marker } = hangingTool("fallocate");
    const csi = await start(env);
    const ask = { parameters: { provisioning: "thick" } };
    const client = server?.client;
    const request = { name: "thick", capacity_range: bytes(32 * MIB), volume_capabilities: [mount()], ...ask };
    const call = client?.call("Controller", "CreateVolume", request, 1000);
    const ended = failureOf(call ?? Promise.resolve());
    await until(() => existsSync(begun));
    expect(await failureOf(csi.create("thick", ask))).toEqual({
      code: "ABORTED",
      details: expect.stringMatching(/CreateVolume thick has been running .* for \d+ ms/) as string,
    });
    expect((await ended).code).toBe("DEADLINE_EXCEEDED");
    await until(() => processesWith(marker).length === 0);
    rmSync(hang);
    // The failed try is being undone: ABORTED until then, which a sidecar takes as "may still be going on".
    let answer = await failureOf(csi.create("thick", ask));
    while (answer.code === "ABORTED") answer = await failureOf(csi.create("thick", ask));
    expect(answer.code).toBe("OK");
    expect(readdirSync(join(sandbox.poolDir, "volumes"))).toHaveLength(1);
  });
});
