import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { TestServer } from "../root/server-harness.js";
import { type ClusterWorld, makeClusterWorld } from "./cluster-world.js";

const MIB = 1024 ** 2;
const capability = { mount: { fs_type: "xfs" }, access_mode: { mode: "SINGLE_NODE_WRITER" as const } };

let world: ClusterWorld;
let writer: ChildProcess | undefined;
beforeAll(() => {
  world = makeClusterWorld();
});
afterAll(async () => {
  writer?.kill("SIGKILL");
  await world.remove();
});

/** Writes 256 KiB and has it synced, again and again; then counts it. */
const WRITER = `
i=0
while [ ! -e "$2/stop" ]; do
  i=$((i+1))
  dd if=/dev/urandom of="$1/new" bs=64k count=4 conv=fsync status=none && mv "$1/new" "$1/file-$((i % 8))" ||
    { echo "write $i failed" >>"$2/errors"; exit 1; }
  echo $i >"$2/count"
done
`;

it("the node plugin is killed and started under load, and whoever writes notices nothing", async () => {
  const dir = world.sandbox.dir;
  let server: TestServer = await world.start();
  const { volume } = await server.client.call("Controller", "CreateVolume", {
    name: `restarts-${world.place.name}`,
    capacity_range: { required_bytes: String(512 * MIB) },
    volume_capabilities: [capability],
    parameters: { ...world.rbdClass },
  });
  if (!volume) throw new Error("no volume was made");
  const { volume_id, volume_context } = volume;
  const published = { volume_id, node_id: "host-1", volume_capability: capability };
  const { publish_context } = await server.client.call("Controller", "ControllerPublishVolume", published);
  const [staging, target] = [join(dir, "staging"), join(dir, "target")];
  mkdirSync(staging);
  const common = {
    ...{ volume_id, volume_context, publish_context },
    ...{ volume_capability: capability, staging_target_path: staging },
  };
  const mount = async () => {
    await server.client.call("Node", "NodeStageVolume", common);
    await server.client.call("Node", "NodePublishVolume", { ...common, target_path: target });
  };
  await mount();

  const script = join(dir, "writer.sh");
  writeFileSync(script, WRITER);
  writer = spawn("bash", [script, target, dir], { stdio: "ignore" });
  const count = () => (existsSync(join(dir, "count")) ? Number(readFileSync(join(dir, "count"), "utf8")) : 0);
  const writes = async (more: number) => {
    const until = count() + more;
    while (count() < until) {
      expect(existsSync(join(dir, "errors"))).toBe(false);
      await sleep(50);
    }
  };
  await writes(3);
  for (let round = 0; round < 3; round++) {
    await server.kill();
    await writes(3);
    server = await world.start();
    await mount();
    await writes(3);
  }
  const capacity_range = { required_bytes: String(1024 * MIB) };
  await server.client.call("Controller", "ControllerExpandVolume", { volume_id, capacity_range });
  await server.client.call("Node", "NodeExpandVolume", { volume_id, volume_path: target, capacity_range });
  const { blocks, bsize } = statfsSync(target);
  expect(blocks * bsize).toBeGreaterThan(900 * MIB);
  await writes(3);
  const ended = new Promise((resolve) => writer?.once("exit", resolve));
  writeFileSync(join(dir, "stop"), "");
  expect(await ended).toBe(0);
  expect(existsSync(join(dir, "errors"))).toBe(false);

  await server.client.call("Node", "NodeUnpublishVolume", { volume_id, target_path: target });
  await server.client.call("Node", "NodeUnstageVolume", { volume_id, staging_target_path: staging });
  await server.client.call("Controller", "ControllerUnpublishVolume", { volume_id, node_id: "host-1" });
  await server.client.call("Controller", "DeleteVolume", { volume_id });
});
