import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { block, type Calls, callsOf, type Made, MIB, mount, NODE } from "./csi-requests.js";
import { failureOf, makeSandbox, removeSandbox, type Sandbox, startServer, type TestServer } from "./server-harness.js";

let sandbox: Sandbox;
let server: TestServer;
let csi: Calls;
const made: string[] = [];

beforeAll(async () => {
  sandbox = makeSandbox();
  server = await startServer(sandbox);
  csi = callsOf(server.client, sandbox);
});

afterEach(async () => {
  for (const id of made.splice(0)) {
    await csi.controllerUnpublish(id, "");
    await csi.remove(id);
  }
});

afterAll(async () => {
  await server?.stop();
  removeSandbox(sandbox);
});

const GONE = `g1-l-v-${"0".repeat(24)}`;

async function volume(name: string, more: Parameters<Calls["create"]>[1] = {}): Promise<Made> {
  const created = await csi.create(name, more);
  made.push(created.volume_id);
  return created;
}

const nodesOf = async (id: string) => (await csi.get(id)).status?.published_node_ids;

describe("DeleteVolume", () => {
  it("rule 10: gone, or never there: OK; still published: FAILED_PRECONDITION naming the node", async () => {
    const { volume_id } = await volume("delete-me");
    await csi.controllerPublish(volume_id);
    const refused = await failureOf(csi.remove(volume_id));
    expect(refused).toEqual({ code: "FAILED_PRECONDITION", details: expect.stringContaining(NODE) as string });
    expect(await nodesOf(volume_id)).toEqual([NODE]);
    await csi.controllerUnpublish(volume_id);
    await csi.remove(volume_id);
    await csi.remove(volume_id);
    await csi.remove(GONE);
    expect((await failureOf(csi.get(volume_id))).code).toBe("NOT_FOUND");
  });
});

describe("ControllerPublishVolume", () => {
  it("the same again: OK with the same publish context, which proves the image", async () => {
    const { volume_id } = await volume("published");
    const first = await csi.controllerPublish(volume_id);
    expect(await csi.controllerPublish(volume_id)).toEqual(first);
    expect(first.publish_context).toEqual({
      image: csi.image(volume_id),
      sizeBytes: String(32 * MIB),
      inode: expect.stringMatching(/^\d+:\d+$/) as string,
      readonly: "false",
    });
  });

  it("rule 13: same node, other capability or readonly: ALREADY_EXISTS, and the first stays", async () => {
    const { volume_id } = await volume("twice");
    await csi.controllerPublish(volume_id);
    for (const again of [
      () => csi.controllerPublish(volume_id, block()),
      () => csi.controllerPublish(volume_id, mount("SINGLE_NODE_MULTI_WRITER")),
      () => csi.controllerPublish(volume_id, mount("SINGLE_NODE_READER_ONLY")),
      () => csi.controllerPublish(volume_id, mount(), true),
    ]) {
      expect(await failureOf(again())).toEqual({
        code: "ALREADY_EXISTS",
        details: expect.stringContaining(NODE) as string,
      });
    }
    expect((await csi.controllerPublish(volume_id)).publish_context?.readonly).toBe("false");
  });

  it("rule 13: no node has a limit of its own, so none is ever passed", async () => {
    expect((await server.client.call("Node", "NodeGetInfo", {})).max_volumes_per_node).toBe("0");
  });

  it("rule 14: unknown volume or node: NOT_FOUND", async () => {
    const { volume_id } = await volume("lonely");
    expect((await failureOf(csi.controllerPublish(GONE))).code).toBe("NOT_FOUND");
    const failure = await failureOf(csi.controllerPublish(volume_id, mount(), false, "another-host"));
    expect(failure).toEqual({ code: "NOT_FOUND", details: expect.stringContaining("another-host") as string });
    expect(await nodesOf(volume_id)).toEqual([]);
  });

  it("a capability that the volume cannot have: INVALID_ARGUMENT; read-only is told to the node", async () => {
    const shared = await volume("shared", { volume_capabilities: [mount("MULTI_NODE_MULTI_WRITER")] });
    expect((await failureOf(csi.controllerPublish(shared.volume_id, block()))).code).toBe("INVALID_ARGUMENT");
    const answer = await csi.controllerPublish(shared.volume_id, mount("MULTI_NODE_MULTI_WRITER"), true);
    expect(answer.publish_context?.readonly).toBe("true");
  });
});

describe("ControllerPublishVolume, two nodes", () => {
  it("rule 12: another node, single-node mode: FAILED_PRECONDITION naming that node", async () => {
    // A host has one node, so the second name comes by starting again under it: the first's publication is kept.
    const { volume_id } = await csi.create("moved");
    const shared = await csi.create("shared-moved", { volume_capabilities: [mount("MULTI_NODE_MULTI_WRITER")] });
    await csi.controllerPublish(volume_id);
    await csi.controllerPublish(shared.volume_id, mount("MULTI_NODE_MULTI_WRITER"));
    await server.stop();
    const renamed = await startServer(sandbox, { flags: ["--node-id", "host-2"] });
    try {
      const moved = callsOf(renamed.client, sandbox);
      for (const capability of [mount(), block(), mount("SINGLE_NODE_MULTI_WRITER"), block("MULTI_NODE_READER_ONLY")]) {
        const failure = await failureOf(moved.controllerPublish(volume_id, capability, false, "host-2"));
        expect(failure).toEqual({
          code: "FAILED_PRECONDITION",
          details: expect.stringContaining(`published to node ${NODE}`) as string,
        });
      }
      await moved.controllerPublish(shared.volume_id, mount("MULTI_NODE_MULTI_WRITER"), false, "host-2");
      const { entries } = await renamed.client.call("Controller", "ListVolumes", {});
      const nodes = new Map(entries?.map((entry) => [entry.volume?.volume_id, entry.status?.published_node_ids]));
      expect(nodes.get(shared.volume_id)).toEqual([NODE, "host-2"]);
      await moved.controllerUnpublish(volume_id, "");
      await moved.controllerPublish(volume_id, mount(), false, "host-2");
      for (const id of [volume_id, shared.volume_id]) {
        await moved.controllerUnpublish(id, "");
        await moved.remove(id);
      }
    } finally {
      await renamed.stop();
      server = await startServer(sandbox);
      csi = callsOf(server.client, sandbox);
    }
  });
});

describe("ControllerUnpublishVolume", () => {
  it("rule 15: an empty node id means all nodes; unknown volume or node: OK", async () => {
    const { volume_id } = await volume("unpublish");
    await csi.controllerPublish(volume_id);
    await csi.controllerUnpublish(volume_id, "another-host");
    expect(await nodesOf(volume_id)).toEqual([NODE]);
    await csi.controllerUnpublish(volume_id, "");
    expect(await nodesOf(volume_id)).toEqual([]);
    await csi.controllerUnpublish(volume_id);
    await csi.controllerUnpublish(GONE);
    await csi.controllerUnpublish("not-an-id-of-ours", "nor-this");
  });
});

describe("ValidateVolumeCapabilities", () => {
  const validate = (volume_id: string, capabilities: object[], more: object = {}) =>
    server.client.call("Controller", "ValidateVolumeCapabilities", {
      volume_id,
      volume_capabilities: capabilities,
      ...more,
    });

  it("supported: all that was asked is confirmed", async () => {
    const { volume_id, volume_context } = await volume("validate");
    const capabilities = [mount(), block(), mount("SINGLE_NODE_SINGLE_WRITER")];
    const { confirmed } = await validate(volume_id, capabilities, { volume_context });
    expect(confirmed?.volume_capabilities).toHaveLength(3);
    expect(confirmed?.volume_context).toEqual(volume_context);
  });

  it("rule 16: unsupported: OK with an empty confirmed and a message; unknown volume: NOT_FOUND", async () => {
    const { volume_id } = await volume("validate");
    for (const [capabilities, words] of [
      [[block("MULTI_NODE_MULTI_WRITER")], /MULTI_NODE_MULTI_WRITER/],
      [[mount(), mount("MULTI_NODE_SINGLE_WRITER")], /MULTI_NODE_SINGLE_WRITER/],
      [[mount("SINGLE_NODE_WRITER", { fs_type: "ntfs" })], /ntfs/],
    ] as const) {
      const answer = await validate(volume_id, [...capabilities]);
      expect(answer.confirmed).toBeNull();
      expect(answer.message).toMatch(words);
    }
    expect((await failureOf(validate(GONE, [mount()]))).code).toBe("NOT_FOUND");
    expect((await failureOf(validate(volume_id, []))).code).toBe("INVALID_ARGUMENT");
  });

  it("rule 16: a volume context that is not the volume's is not confirmed", async () => {
    const { volume_id } = await volume("validate");
    const answer = await validate(volume_id, [mount()], { volume_context: { kind: "shared" } });
    expect([answer.confirmed, answer.message]).toEqual([null, expect.stringContaining("volume_context")]);
  });
});

describe("ControllerExpandVolume", () => {
  it("rule 23: large enough already: OK; otherwise exactly the bytes asked; past the limit: OUT_OF_RANGE", async () => {
    const { volume_id } = await volume("grow");
    expect(Number((await csi.expand(volume_id, 16 * MIB)).capacity_bytes)).toBe(32 * MIB);
    const odd = 48 * MIB + 4096;
    for (let round = 0; round < 2; round++) {
      const { capacity_bytes, node_expansion_required } = await csi.expand(volume_id, odd, odd);
      expect([capacity_bytes, node_expansion_required]).toEqual([String(odd), true]);
    }
    for (const [required, limit] of [
      [0, 32 * MIB],
      [40 * MIB, 44 * MIB],
      [17 * 1024 ** 4, 0],
    ] as const) {
      expect((await failureOf(csi.expand(volume_id, required, limit))).code).toBe("OUT_OF_RANGE");
    }
    expect((await csi.get(volume_id)).volume?.capacity_bytes).toBe(String(odd));
    expect((await failureOf(csi.expand(GONE, odd))).code).toBe("NOT_FOUND");
  });

  it("rule 23: more than the pool may promise: RESOURCE_EXHAUSTED, and the size stays", async () => {
    const { volume_id } = await volume("grow");
    expect((await failureOf(csi.expand(volume_id, 1024 ** 4))).code).toBe("RESOURCE_EXHAUSTED");
    expect((await csi.get(volume_id)).volume?.capacity_bytes).toBe(String(32 * MIB));
  });
});

describe("ControllerModifyVolume", () => {
  const modify = (volume_id: string, mutable_parameters: Record<string, string>) =>
    server.client.call("Controller", "ControllerModifyVolume", { volume_id, mutable_parameters });

  it("rule 20: one invalid key: INVALID_ARGUMENT and nothing at all applied; absent keys stay", async () => {
    const ask = { mutable_parameters: { reclaimSpace: "24h" } };
    const { volume_id } = await volume("modify", ask);
    for (const wrong of [{ reclaimSpace: "1h", provisioning: "thick" }, { reclaimSpace: "soon" }, { "": "x" }]) {
      expect((await failureOf(modify(volume_id, wrong))).code).toBe("INVALID_ARGUMENT");
    }
    await modify(volume_id, {});
    expect((await csi.create("modify", ask)).volume_id).toBe(volume_id);
    await modify(volume_id, { reclaimSpace: "1h" });
    await modify(volume_id, { reclaimSpace: "1h" });
    expect((await failureOf(modify(GONE, { reclaimSpace: "1h" }))).code).toBe("NOT_FOUND");
  });
});

describe("GetCapacity", () => {
  const capacity = (more: object = {}) => server.client.call("Controller", "GetCapacity", more);

  it("falls by what is committed and comes back with the delete", async () => {
    const before = Number((await capacity()).available_capacity);
    const { volume_id } = await csi.create("sized", { capacity_range: { required_bytes: String(256 * MIB) } });
    expect(Number((await capacity()).available_capacity)).toBe(before - 256 * MIB);
    await csi.expand(volume_id, 512 * MIB);
    expect(Number((await capacity()).available_capacity)).toBe(before - 512 * MIB);
    await csi.remove(volume_id);
    const after = await capacity();
    expect(Number(after.available_capacity)).toBe(before);
    expect(Number(after.maximum_volume_size?.value)).toBe(before);
    expect(Number(after.minimum_volume_size?.value)).toBe(MIB);
  });

  it("nothing for a topology or a capability that is not served here", async () => {
    const elsewhere = { accessible_topology: { segments: { "topology.csi.granary.dev/host": "another-host" } } };
    expect((await capacity(elsewhere)).available_capacity).toBe("0");
    expect((await capacity({ volume_capabilities: [block("MULTI_NODE_MULTI_WRITER")] })).available_capacity).toBe("0");
  });
});
