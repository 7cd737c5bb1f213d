import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { identityHandlers } from "../../controller/identity.js";
import { loadConfig } from "../../src/config/config.js";
import type { CsiClient } from "../../src/runtime/csi-client.js";
import { callsOf, MIB, mount, readAt, tool, writeAt } from "./csi-requests.js";
import {
  failureOf,
  granary,
  loopsUnder,
  makeSandbox,
  mountsUnder,
  removeSandbox,
  type Sandbox,
  startServer,
  type TestServer,
} from "./server-harness.js";

let sandbox: Sandbox;
const servers: TestServer[] = [];

async function start(...args: Parameters<typeof startServer> extends [Sandbox, ...infer Rest] ? Rest : never) {
  const server = await startServer(sandbox, ...args);
  servers.push(server);
  return server;
}

beforeEach(() => {
  sandbox = makeSandbox(512 * MIB);
});

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
  removeSandbox(sandbox);
});

/** A call as an old kubelet's gRPC sends it: HTTP/2 with the socket's path as `:authority`. */
async function callWithAuthority(socket: string, authority: string): Promise<unknown> {
  const session = connectHttp2("http://localhost", { createConnection: () => connect(socket) });
  try {
    const stream = session.request({
      ":method": "POST",
      ":path": "/csi.v1.Identity/GetPluginInfo",
      ":authority": authority,
      "content-type": "application/grpc",
      te: "trailers",
    });
    let status: unknown;
    stream.on("trailers", (trailers) => {
      status = trailers["grpc-status"];
    });
    stream.resume();
    // An empty message: not compressed, length 0.
    stream.end(Buffer.alloc(5));
    await once(stream, "close");
    return status;
  } finally {
    session.destroy();
  }
}

describe("Identity", () => {
  it("GetPluginInfo: a name of a domain's form that ends in a letter, and the package's version", async () => {
    const info = await (await start()).client.call("Identity", "GetPluginInfo", {});
    expect(info.name).toMatch(/^[a-z0-9]([a-z0-9.-]{0,61}[a-z])$/);
    expect(info.vendor_version).toMatch(/^\d+\.\d+\.\d+/);
  });

  it("the socket's path as :authority, escaped or not, is accepted", async () => {
    const { endpoint } = await start();
    const socket = endpoint.replace("unix://", "");
    for (const authority of [socket, encodeURIComponent(socket), "localhost"]) {
      expect([authority, await callWithAuthority(socket, authority)]).toEqual([authority, "0"]);
    }
  });

  it("the socket's path ends in .sock, and nothing else is created beside it", async () => {
    const server = await start();
    const csi = callsOf(server.client, sandbox);
    await csi.remove((await csi.create("beside")).volume_id);
    // The log is this test's own.
    const beside = readdirSync(sandbox.dir).filter((name) => !name.endsWith(".log"));
    expect(beside.sort()).toEqual(["data", "pool.img", "up.sock"]);
    for (const csiEndpoint of [`unix://${sandbox.dir}/csi`, "unix://csi.sock", "tcp://127.0.0.1:1"]) {
      expect(() => loadConfig({ csiEndpoint }, {})).toThrow(/csiEndpoint.*\.sock/);
    }
    const refused = granary(["up", "--data-dir", sandbox.dataDir, "--csi-endpoint", `unix://${sandbox.dir}/csi`]);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining(".sock")]);
  });

  it("rule 33: a tool that is missing: FAILED_PRECONDITION naming it, and what installs it", async () => {
    const bin = join(sandbox.dir, "bin");
    mkdirSync(bin);
    const tools = "losetup mount umount blkid blockdev fallocate fstrim mkfs.ext4 e2fsck resize2fs filefrag";
    for (const name of tools.split(" ")) symlinkSync(tool("which", name).trim(), join(bin, name));
    const server = await start({ env: { PATH: bin } });
    const failure = await failureOf(server.client.call("Identity", "Probe", {}));
    expect(failure).toEqual({
      code: "FAILED_PRECONDITION",
      details: "missing on this host: fsfreeze; install them: apt-get install util-linux",
    });
  });

  it("rule 33: starting up: OK with ready=false, then ready=true", async () => {
    const ready = { now: false };
    const identity = identityHandlers({
      version: "1",
      hasController: true,
      ready: () => ready.now,
      probe: () => Promise.reject(new Error("asked while it starts")),
    });
    const ctx = {} as Parameters<typeof identity.Probe>[0];
    expect(await identity.Probe(ctx)).toEqual({ ready: { value: false } });
    ready.now = true;
    await expect(identity.Probe(ctx)).rejects.toThrow("asked while it starts");
    expect(await (await start()).client.call("Identity", "Probe", {})).toEqual({ ready: { value: true } });
  });
});

describe("node_id", () => {
  it("up to 256 bytes is taken, more is refused", async () => {
    const longest = "n".repeat(256);
    const server = await start({ flags: ["--node-id", longest] });
    expect((await server.client.call("Node", "NodeGetInfo", {})).node_id).toBe(longest);
    for (const nodeId of [`${longest}n`, "é".repeat(129)]) expect(() => loadConfig({ nodeId }, {})).toThrow("nodeId");
  });
});

/** Waits for something to become so; the test's own limit ends it. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 10));
}

describe("granary up", () => {
  it("SIGTERM drains: the call in flight completes, new ones are refused, and the exit code is 0", async () => {
    // mkfs waits for a file, so that the call is in flight for as long as this test wants.
    const bin = join(sandbox.dir, "bin");
    const [begun, go] = [join(sandbox.dir, "begun"), join(sandbox.dir, "go")];
    mkdirSync(bin);
    const real = tool("which", "mkfs.ext4").trim();
    const wait = `#!/bin/sh\n: > ${begun}\nwhile [ ! -e ${go} ]; do sleep 0.02; done\nexec ${real} "$@"\n`;
    writeFileSync(join(bin, "mkfs.ext4"), wait);
    chmodSync(join(bin, "mkfs.ext4"), 0o755);
    const server = await startServer(sandbox, { env: { PATH: `${bin}:${process.env.PATH}` } });
    servers.push(server);
    const csi = callsOf(server.client, sandbox);
    const volume = await csi.create("drained");
    const { publish_context } = await csi.controllerPublish(volume.volume_id);
    const staged = csi.stage(volume, publish_context ?? {});
    await until(() => existsSync(begun));
    process.kill(server.pid, "SIGTERM");
    await until(() => /draining/.test(server.log()));
    writeFileSync(go, "");
    expect(await staged).toEqual({});
    server.client.close();
    expect(await server.ended).toBe(0);
    expect(readdirSync(sandbox.dataDir)).not.toContain("server.json");
    const again = callsOf((await start()).client, sandbox);
    await again.detach(volume.volume_id);
    await again.remove(volume.volume_id);
  });

  it("a second start on the same data dir: exit code 1, saying which process has it", async () => {
    const server = await start();
    const second = `unix://${sandbox.dir}/second.sock`;
    const refused = granary(["up", "--data-dir", sandbox.dataDir, "--csi-endpoint", second]);
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringContaining(`in use by granary, process ${server.pid}`),
    ]);
    expect(existsSync(second.replace("unix://", ""))).toBe(false);
    await server.client.call("Identity", "Probe", {});
    // One that was killed holds nothing.
    await server.kill();
    await (await start()).client.call("Identity", "Probe", {});
  });
});

describe("granary controller and granary node", () => {
  const services = async (client: CsiClient) => {
    const { capabilities } = await client.call("Identity", "GetPluginCapabilities", {});
    return capabilities?.map((one) => one.service?.type ?? one.volume_expansion?.type);
  };

  it("as two processes that share the pool: a volume's whole life, across a restart of each", async () => {
    let controller = await start({ role: "controller" });
    let node = await start({ role: "node" });
    expect(await services(controller.client)).toContain("CONTROLLER_SERVICE");
    expect(await services(node.client)).not.toContain("CONTROLLER_SERVICE");
    expect((await failureOf(node.client.call("Controller", "ListVolumes", {}))).code).toBe("UNIMPLEMENTED");
    let [up, down] = [callsOf(controller.client, sandbox), callsOf(node.client, sandbox)];
    const volume = await up.create("apart");
    const id = volume.volume_id;
    const { publish_context } = await up.controllerPublish(id);
    await down.stage(volume, publish_context ?? {});
    await down.publish(volume);
    const file = join(down.target(id), "data");
    writeFileSync(file, "0123456789");
    // The node's restart breaks no mount: nothing that I/O needs lives in the process.
    expect(await node.stop()).toBe(0);
    writeAt(file, 4, "XX");
    expect(await controller.stop()).toBe(0);
    controller = await start({ role: "controller" });
    node = await start({ role: "node" });
    [up, down] = [callsOf(controller.client, sandbox), callsOf(node.client, sandbox)];
    await down.stage(volume, publish_context ?? {});
    await down.publish(volume);
    expect(readAt(file, 0, 10).toString()).toBe("0123XX6789");
    expect((await failureOf(up.remove(id))).code).toBe("FAILED_PRECONDITION");
    await up.expand(id, 64 * MIB);
    await down.unpublish(id);
    await down.unstage(id);
    await down.stage(volume, publish_context ?? {});
    expect(Number((await down.stats(id)).usage?.[0]?.total)).toBeGreaterThan(40 * MIB);
    const cut = await up.snapshot("apart-cut", id);
    await down.unstage(id);
    await up.controllerUnpublish(id);
    await up.remove(id);
    await up.removeSnapshot(cut.snapshot_id ?? "");
    expect(readdirSync(join(sandbox.poolDir, "volumes"))).toEqual([]);
    expect(mountsUnder(sandbox.dir)).toEqual([sandbox.poolDir]);
    expect(loopsUnder(sandbox.dir)).toHaveLength(1);
  });
});

describe("VolumeCapability", () => {
  it("SINGLE_NODE_WRITER still works beside SINGLE_NODE_SINGLE_WRITER and SINGLE_NODE_MULTI_WRITER", async () => {
    const server = await start();
    const csi = callsOf(server.client, sandbox);
    for (const mode of ["SINGLE_NODE_WRITER", "SINGLE_NODE_SINGLE_WRITER", "SINGLE_NODE_MULTI_WRITER"] as const) {
      const volume = await csi.create(`mode-${mode}`, { volume_capabilities: [mount(mode)] });
      await csi.attach(volume, mount(mode));
      await csi.detach(volume.volume_id);
      await csi.remove(volume.volume_id);
    }
  });
});
