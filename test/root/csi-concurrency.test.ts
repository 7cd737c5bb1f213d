import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkParallelCalls } from "./concurrency-suite.js";
import { bytes, type Calls, callsOf, MIB, mount } from "./csi-requests.js";
import { hangingTool, processesWith, until } from "./hanging-tool.js";
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

describe("100 parallel calls", () => {
  it("rule 37: mixed over same and different names: one volume a name, OK or ABORTED, no lock left", async () => {
    const csi = await start();
    await checkParallelCalls({ server: server as TestServer, csi, names: 10, calls: 100 });
    expect(readdirSync(join(sandbox.poolDir, "volumes"))).toEqual([]);
    expect(mountsUnder(sandbox.dir)).toEqual([sandbox.poolDir]);
    expect(loopsUnder(sandbox.dir)).toHaveLength(1);
  });
});

describe("NodeStageVolume", () => {
  it("rule 37: another operation on the same volume is running: ABORTED telling which, and for how long", async () => {
    const { env, hang, begun } = hangingTool(sandbox.dir, "mkfs.ext4");
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
    const { env, hang, begun, marker } = hangingTool(sandbox.dir, "mkfs.ext4");
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
    const { env, hang, begun, marker } = hangingTool(sandbox.dir, "fallocate");
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
