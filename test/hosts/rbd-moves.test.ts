import { createHash, randomBytes } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CsiRequest, MethodName } from "../../src/runtime/csi-client.js";
import { makePlace, type Place } from "../ceph/place.js";
import { makeSandbox, removeSandbox, type Sandbox, startServer, type TestServer } from "../root/server-harness.js";
import { bootHost, type HostVm } from "./host-vm.js";

const MIB = 1024 ** 2;
const DEADLINE_MS = 120_000;
const capability = { mount: { fs_type: "ext4" }, access_mode: { mode: "SINGLE_NODE_WRITER" as const } };

let place: Place;
let sandbox: Sandbox;
let server: TestServer;
let hosts: [HostVm, HostVm];

beforeAll(async () => {
  place = makePlace();
  sandbox = makeSandbox(0);
  const config = join(sandbox.dir, "config.yaml");
  place.writeConfig(config);
  const booting = Promise.all([bootHost("a", config), bootHost("b", config)]);
  server = await startServer(sandbox, { role: "controller", flags: ["--config", config] });
  hosts = await booting;
});

afterAll(async () => {
  await Promise.all((hosts ?? []).map((host) => host.down()));
  await server?.stop();
  place?.remove();
  if (sandbox) removeSandbox(sandbox);
});

const call = <M extends MethodName<"Controller">>(method: M, request: CsiRequest<"Controller", M>) =>
  server.client.call("Controller", method, request, DEADLINE_MS);

interface Volume {
  volume_id: string;
  volume_context: Record<string, string>;
}

async function create(name: string, mib: number): Promise<Volume> {
  const { volume } = await call("CreateVolume", {
    name: `${name}-${place.name}`,
    capacity_range: { required_bytes: String(mib * MIB) },
    volume_capabilities: [capability],
    parameters: { cluster: "main" },
  });
  if (!volume) throw new Error("no volume was made");
  return { volume_id: volume.volume_id, volume_context: volume.volume_context };
}

const pathsOf = ({ volume_id }: Volume) => ({
  staging: `/run/volumes/${volume_id}/staging`,
  target: `/run/volumes/${volume_id}/target`,
});

/** Attaches the volume to the host and mounts it: the path. */
async function mountOn(host: HostVm, volume: Volume): Promise<string> {
  const { publish_context } = await call("ControllerPublishVolume", {
    volume_id: volume.volume_id,
    node_id: host.name,
    volume_capability: capability,
  });
  const { staging, target } = pathsOf(volume);
  host.sh(`mkdir -p ${staging}`);
  const common = { ...volume, publish_context, volume_capability: capability, staging_target_path: staging };
  await host.client.call("Node", "NodeStageVolume", common, DEADLINE_MS);
  await host.client.call("Node", "NodePublishVolume", { ...common, target_path: target }, DEADLINE_MS);
  return target;
}

async function unmountOn(host: HostVm, volume: Volume): Promise<void> {
  const { staging, target } = pathsOf(volume);
  const { volume_id } = volume;
  await host.client.call("Node", "NodeUnpublishVolume", { volume_id, target_path: target }, DEADLINE_MS);
  await host.client.call("Node", "NodeUnstageVolume", { volume_id, staging_target_path: staging }, DEADLINE_MS);
}

const takeFrom = (host: HostVm, { volume_id }: Volume) =>
  call("ControllerUnpublishVolume", { volume_id, node_id: host.name });

describe("a volume of RBD and two hosts", () => {
  it("is attached by the kernel's own client, follows its pod, and shows there what was written here", async () => {
    const [a, b] = hosts;
    const volume = await create("moves", 256);
    const path = await mountOn(a, volume);
    expect(a.sh(`findmnt -n -o SOURCE,FSTYPE ${path}`)).toMatch(/^\/dev\/rbd\d+ +ext4/);
    const sum = a.sh(`head -c 16M /dev/urandom >${path}/file && sync -f ${path}/file && sha256sum <${path}/file`);
    const held = { volume_id: volume.volume_id, node_id: b.name, volume_capability: capability };
    await expect(call("ControllerPublishVolume", held)).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      message: expect.stringContaining(a.name),
    });
    await unmountOn(a, volume);
    await takeFrom(a, volume);
    expect(a.sh("ls /sys/bus/rbd/devices")).toBe("");
    const there = await mountOn(b, volume);
    expect(b.sh(`sha256sum <${there}/file`)).toBe(sum);
    await unmountOn(b, volume);
    await takeFrom(b, volume);
    await call("DeleteVolume", { volume_id: volume.volume_id });
  });

  it("grows while its ext4 is mounted and written to", async () => {
    const [a] = hosts;
    const volume = await create("grows", 128);
    const path = await mountOn(a, volume);
    const before = a.sh(`head -c 8M /dev/urandom >${path}/file && sync -f ${path}/file && sha256sum <${path}/file`);
    a.sh(
      `(until [ -e /run/stop ]; do date >>${path}/log && sync ${path}/log; sleep 0.2; done; >/run/stopped) >/dev/null 2>&1 </dev/null &`,
    );
    const { volume_id } = volume;
    const capacity_range = { required_bytes: String(512 * MIB) };
    const expanded = await call("ControllerExpandVolume", {
      ...{ volume_id, capacity_range, volume_capability: capability },
    });
    expect(expanded).toMatchObject({ capacity_bytes: String(512 * MIB), node_expansion_required: true });
    const grown = { volume_id, volume_path: path, capacity_range, volume_capability: capability };
    await a.client.call("Node", "NodeExpandVolume", grown, DEADLINE_MS);
    const kib = Number(a.sh(`df --output=size -k ${path} | tail -1`));
    expect(kib).toBeGreaterThan(400 * 1024);
    a.sh(`head -c 200M /dev/zero >${path}/more && sync -f ${path}/more`);
    expect(a.sh(`sha256sum <${path}/file`)).toBe(before);
    a.sh(">/run/stop; until [ -e /run/stopped ]; do sleep 0.2; done");
    await unmountOn(a, volume);
    await takeFrom(a, volume);
    await call("DeleteVolume", { volume_id });
  });

  it("of a host that hangs: moved with its client cut off; thawed, that host changes no byte", async () => {
    const [a, b] = hosts;
    const [volume, beside] = [await create("fenced", 128), await create("beside", 64)];
    const path = await mountOn(a, volume);
    const kept = await mountOn(a, beside);
    const write = `dd if=/dev/urandom of=${path}/data bs=64k count=16 conv=fsync status=none 2>>/run/writer-error`;
    const writer = `i=0; while ${write}; do i=$((i+1)); echo $i >/run/writer-count; done; echo ended >>/run/writer-error`;
    a.sh(`(${writer}) >/dev/null 2>&1 </dev/null &`);
    a.sh("until [ -s /run/writer-count ]; do sleep 0.2; done");

    await a.freeze();
    await takeFrom(a, volume);
    const there = await mountOn(b, volume);
    const word = randomBytes(16).toString("hex");
    b.sh(`test -e ${there}/data && echo ${word} >${there}/word && sync -f ${there}/word`);
    await unmountOn(b, volume);
    const image = place
      .rbd("ls", place.spec)
      .split("\n")
      .find((name) => volume.volume_id.includes(name.replace("granary-v-", "")) && name !== "");
    const digest = () => {
      const file = join(sandbox.dir, "image");
      place.rbd("export", "--no-progress", `${place.spec}/${image}`, file);
      const sum = createHash("sha256").update(readFileSync(file)).digest("hex");
      rmSync(file);
      return sum;
    };
    const before = digest();

    await a.thaw();
    a.sh("for i in $(seq 120); do grep -q ended /run/writer-error && exit; sleep 1; done; exit 1");
    expect(a.sh("cat /run/writer-error")).toMatch(/Input\/output error|Read-only file system|Cannot send/i);
    expect(digest()).toBe(before);
    // Only the one volume's client was cut off.
    a.sh(`echo still here >${kept}/file && sync -f ${kept}/file`);
    await unmountOn(a, volume);
    await unmountOn(a, beside);
    await takeFrom(a, beside);

    const again = await mountOn(b, volume);
    expect(b.sh(`cat ${again}/word`).trim()).toBe(word);
    await unmountOn(b, volume);
    await takeFrom(b, volume);
    // A host that was fenced takes the volume again: with a new client.
    const back = await mountOn(a, volume);
    expect(a.sh(`cat ${back}/word`).trim()).toBe(word);
    a.sh(`echo back >${back}/word && sync -f ${back}/word`);
    await unmountOn(a, volume);
    await takeFrom(a, volume);
    for (const { volume_id } of [volume, beside]) await call("DeleteVolume", { volume_id });
  });
});
