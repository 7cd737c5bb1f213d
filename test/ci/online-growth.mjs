// Grows a mounted, published ext4 volume through a real server, in the folder that is given. Needs root and
// CAP_SYS_RESOURCE. Ends with exit code 1 at the first thing that is not as it should be.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { CsiClient } from "../../dist/src/runtime/csi-client.js";

const MIB = 1024 ** 2;
const [SMALL, LARGE] = [64 * MIB, 256 * MIB];
// A machine in software emulation is slow: deadlines only end what hangs.
const DEADLINE_MS = 180_000;
const NODE_ID = "growth";
const main = fileURLToPath(new URL("../../dist/src/main.js", import.meta.url));
const dir = process.argv[2];
assert.ok(dir, "usage: online-growth.mjs FOLDER");
fs.mkdirSync(dir, { recursive: true });
const dataDir = join(dir, "data");
const endpoint = `unix://${join(dir, "csi.sock")}`;
const capability = { mount: { fs_type: "ext4" }, access_mode: { mode: "SINGLE_NODE_WRITER" } };

const say = (text) => console.log(`online growth: ${text}`);
/** Id, parent, device, root and place of each mount on the path: while these stay, it is the same mount. */
const mountsAt = (path) =>
  fs
    .readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ").slice(0, 5))
    .filter((fields) => fields[4] === path);
const digest = (data) => createHash("sha256").update(data).digest("hex");
const sizeOf = (path) => {
  const { blocks, bsize } = fs.statfsSync(path);
  return blocks * bsize;
};

function granary(...args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], { encoding: "utf8" });
  assert.equal(status, 0, `granary ${args.join(" ")}:\n${stdout}${stderr}`);
  return stdout;
}

async function startServer() {
  const args = ["up", "--data-dir", dataDir, "--csi-endpoint", endpoint, "--node-id", NODE_ID];
  const child = spawn(process.execPath, [main, ...args, "--metrics-address", ""], {
    stdio: ["ignore", "inherit", "pipe"],
  });
  let log = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    log += text;
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const endMs = Date.now() + DEADLINE_MS;
  while (!log.includes("ready on")) {
    assert.ok(child.exitCode === null && Date.now() < endMs, `the server is not ready:\n${log}`);
    await sleep(100);
  }
  const stop = () => {
    child.kill("SIGTERM");
    return ended;
  };
  return { log: () => log, stop };
}

async function grow(client) {
  const call = (service, method, request) => client.call(service, method, request, DEADLINE_MS);
  const { volume } = await call("Controller", "CreateVolume", {
    name: "growing",
    capacity_range: { required_bytes: String(SMALL) },
    volume_capabilities: [capability],
  });
  const volume_id = volume.volume_id;
  const published = await call("Controller", "ControllerPublishVolume", {
    volume_id,
    node_id: NODE_ID,
    volume_capability: capability,
  });
  const [staging, target] = [join(dir, "staging"), join(dir, "target")];
  const common = {
    ...{ volume_id, publish_context: published.publish_context, volume_context: volume.volume_context },
    ...{ volume_capability: capability, staging_target_path: staging },
  };
  await call("Node", "NodeStageVolume", common);
  await call("Node", "NodePublishVolume", { ...common, target_path: target });
  say(`published at ${target}, ${sizeOf(target)} bytes`);

  const file = join(target, "data");
  const data = randomBytes(8 * MIB);
  fs.writeFileSync(file, data, { flush: true });
  const before = { bytes: sizeOf(target), mounts: [staging, target].map(mountsAt) };
  assert.ok(before.mounts.every((mounts) => mounts.length === 1));
  assert.ok(before.bytes < SMALL);
  // Open over the whole growth: an unmount in between would fail, or leave this on a detached mount.
  const held = fs.openSync(file, "r+");

  const expanded = await call("Controller", "ControllerExpandVolume", {
    volume_id,
    capacity_range: { required_bytes: String(LARGE) },
    volume_capability: capability,
  });
  assert.equal(expanded.capacity_bytes, String(LARGE));
  assert.equal(expanded.node_expansion_required, true);
  const grown = await call("Node", "NodeExpandVolume", {
    volume_id,
    volume_path: target,
    staging_target_path: staging,
    capacity_range: { required_bytes: String(LARGE) },
    volume_capability: capability,
  });
  assert.equal(grown.capacity_bytes, String(LARGE));
  say(`grown while mounted to ${sizeOf(target)} bytes`);
  assert.ok(sizeOf(target) > before.bytes + (LARGE - SMALL) * 0.8, `statfs says ${sizeOf(target)} bytes`);
  assert.deepEqual([staging, target].map(mountsAt), before.mounts);
  assert.equal(digest(fs.readFileSync(file)), digest(data));
  fs.writeSync(held, data, 0, data.length, data.length);
  fs.fsyncSync(held);
  fs.closeSync(held);
  // More than the small volume could hold.
  fs.writeFileSync(join(target, "more"), Buffer.alloc(SMALL, 7), { flush: true });
  assert.equal(digest(fs.readFileSync(file)), digest(Buffer.concat([data, data])));
  say(granary("doctor", "--data-dir", dataDir).trim());

  await call("Node", "NodeUnpublishVolume", { volume_id, target_path: target });
  await call("Node", "NodeUnstageVolume", { volume_id, staging_target_path: staging });
  await call("Controller", "ControllerUnpublishVolume", { volume_id, node_id: NODE_ID });
  await call("Controller", "DeleteVolume", { volume_id });
}

granary("pool", "init", "--data-dir", dataDir, "--file", join(dir, "pool.img"), "--size", "1Gi");
const server = await startServer();
const client = new CsiClient(endpoint);
try {
  await grow(client);
} catch (error) {
  console.error(server.log());
  throw error;
} finally {
  client.close();
  await server.stop();
}
say("passed");
