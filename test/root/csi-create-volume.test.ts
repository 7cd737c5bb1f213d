import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { block, bytes, type Calls, callsOf, fromSnapshot, fromVolume, MIB, mount, NODE } from "./csi-requests.js";
import { failureOf, makeSandbox, removeSandbox, type Sandbox, startServer, type TestServer } from "./server-harness.js";

let sandbox: Sandbox;
let server: TestServer;
let csi: Calls;

beforeAll(async () => {
  sandbox = makeSandbox();
  server = await startServer(sandbox);
  csi = callsOf(server.client, sandbox);
});

afterAll(async () => {
  await server?.stop();
  removeSandbox(sandbox);
});

const TOPOLOGY = "topology.csi.granary.dev/host";
const on = (host: string, key = TOPOLOGY) => ({ requisite: [{ segments: { [key]: host } }] });

async function volumeNames(): Promise<string[]> {
  const { entries } = await server.client.call("Controller", "ListVolumes", {});
  return (entries ?? []).map((entry) => entry.volume?.volume_id ?? "");
}

/** The call fails with the code, says something that matches, and makes no volume. */
async function refused(call: () => Promise<unknown>, code: string, words: RegExp): Promise<void> {
  const before = await volumeNames();
  const failure = await failureOf(call());
  expect(failure).toEqual({ code, details: expect.stringMatching(words) as string });
  expect(await volumeNames()).toEqual(before);
}

describe("CreateVolume", () => {
  it.each([
    ["any script", "データ-данные-🗄"],
    ["128 bytes", "é".repeat(64)],
    ["the three control characters that are allowed, and path separators", "a\tb\nc\rd/../e"],
  ])("rule 1: a name of %s is taken, and found again", async (_what, name) => {
    const volume = await csi.create(name);
    expect((await csi.create(name)).volume_id).toBe(volume.volume_id);
    await csi.remove(volume.volume_id);
  });

  it.each([0x00, 0x08, 0x0b, 0x0c, 0x0e, 0x1f, 0x7f, 0x85, 0x9f])(
    "rule 1: a banned control character, code point %i: INVALID_ARGUMENT",
    async (codePoint) => {
      await refused(() => csi.create(`a${String.fromCodePoint(codePoint)}b`), "INVALID_ARGUMENT", /^name /);
    },
  );

  it("rule 1: 129 bytes of a name: INVALID_ARGUMENT saying how many are allowed", async () => {
    await refused(() => csi.create("x".repeat(129)), "INVALID_ARGUMENT", /129 bytes.*128/);
  });

  it("rule 2: the same again, or a range that the volume fits: OK with the same volume", async () => {
    const first = await csi.create("same", { parameters: { "csi.storage.k8s.io/pvc/name": "a" } });
    const again = await csi.create("same", { parameters: { "csi.storage.k8s.io/pvc/name": "a" } });
    expect(again).toEqual(first);
    const smaller = { capacity_range: bytes(16 * MIB, 64 * MIB), parameters: { "csi.storage.k8s.io/pvc/name": "a" } };
    expect((await csi.create("same", smaller)).volume_id).toBe(first.volume_id);
  });

  it("rule 2: same name, incompatible size, capability, parameters, topology or source: ALREADY_EXISTS", async () => {
    const volume = await csi.create("taken");
    const raw = await csi.create("taken-raw", { volume_capabilities: [block()] });
    const other = await csi.create("taken-source");
    const incompatible: [string, Parameters<Calls["create"]>[1]][] = [
      ["taken", { capacity_range: bytes(64 * MIB) }],
      ["taken", { capacity_range: bytes(0, 16 * MIB) }],
      ["taken", { volume_capabilities: [mount("MULTI_NODE_MULTI_WRITER")] }],
      ["taken", { volume_capabilities: [mount("SINGLE_NODE_WRITER", { fs_type: "xfs" })] }],
      ["taken", { volume_capabilities: [block()] }],
      ["taken-raw", { volume_capabilities: [mount()] }],
      ["taken", { parameters: { provisioning: "thick" } }],
      ["taken", { accessibility_requirements: on("another-host") }],
      ["taken", { volume_content_source: fromVolume(other.volume_id) }],
    ];
    for (const [name, more] of incompatible) {
      await refused(() => csi.create(name, more), "ALREADY_EXISTS", new RegExp(`volume ${name} exists`));
    }
    for (const made of [volume, raw, other]) await csi.remove(made.volume_id);
  });

  it("rule 3: capabilities that one volume cannot have at once: INVALID_ARGUMENT", async () => {
    const sets = [
      [mount(), block("MULTI_NODE_MULTI_WRITER")],
      [mount("MULTI_NODE_MULTI_WRITER"), block()],
      [mount("SINGLE_NODE_WRITER", { fs_type: "xfs" }), mount()],
      [mount("SINGLE_NODE_WRITER", { fs_type: "ntfs" })],
      [],
    ];
    for (const volume_capabilities of sets) {
      await refused(() => csi.create("caps", { volume_capabilities }), "INVALID_ARGUMENT", /volume_capabilities/);
    }
    const both = await csi.create("caps", {
      volume_capabilities: [mount(), block(), mount("SINGLE_NODE_READER_ONLY")],
    });
    await csi.remove(both.volume_id);
  });

  it("rules 4, 5: smaller than its source is OUT_OF_RANGE, larger is made as large as asked", async () => {
    const source = await csi.create("source", { capacity_range: bytes(64 * MIB) });
    const cut = await csi.snapshot("source-cut", source.volume_id);
    for (const volume_content_source of [fromVolume(source.volume_id), fromSnapshot(cut.snapshot_id ?? "")]) {
      for (const capacity_range of [bytes(32 * MIB), bytes(0, 32 * MIB)]) {
        const ask = { volume_content_source, capacity_range };
        await refused(() => csi.create("copy", ask), "OUT_OF_RANGE", /capacity_range/);
      }
      const larger = await csi.create("copy", { volume_content_source, capacity_range: bytes(96 * MIB) });
      expect(larger.capacity_bytes).toBe(String(96 * MIB));
      expect(larger.content_source).toEqual(expect.objectContaining(volume_content_source));
      await csi.remove(larger.volume_id);
    }
    const asLarge = await csi.create("copy", {
      volume_content_source: fromVolume(source.volume_id),
      capacity_range: null,
    });
    expect(asLarge.capacity_bytes).toBe(String(64 * MIB));
  });

  it("rule 6: a source that does not exist: NOT_FOUND; one of neither kind: INVALID_ARGUMENT", async () => {
    const gone = `g1-l-v-${"0".repeat(24)}`;
    const create = (volume_content_source: object) => () => csi.create("orphan", { volume_content_source });
    await refused(create(fromVolume(gone)), "NOT_FOUND", /volume_content_source/);
    await refused(create(fromSnapshot("no-such-snapshot")), "NOT_FOUND", /volume_content_source/);
    await refused(create({}), "INVALID_ARGUMENT", /volume_content_source/);
  });

  it("rule 7: topology that cannot be met, or no room: RESOURCE_EXHAUSTED", async () => {
    const away = { accessibility_requirements: on("another-host") };
    await refused(() => csi.create("away", away), "RESOURCE_EXHAUSTED", /another-host|host-1/);
    const huge = { capacity_range: bytes(1024 ** 4) };
    await refused(() => csi.create("huge", huge), "RESOURCE_EXHAUSTED", /room|overcommit/);
    const thick = { capacity_range: bytes(8 * 1024 * MIB), parameters: { provisioning: "thick" } };
    await refused(() => csi.create("thick", thick), "RESOURCE_EXHAUSTED", /thick/);
  });

  it("rule 7: topology keys compare without case, and the answer says where the volume is", async () => {
    const here = await csi.create("here", { accessibility_requirements: on(NODE, TOPOLOGY.toUpperCase()) });
    expect(here.accessible_topology).toEqual([{ segments: { [TOPOLOGY]: NODE } }]);
    await csi.remove(here.volume_id);
  });

  it("rule 8: limit_bytes is honoured, also when nothing is required", async () => {
    const small = await csi.create("limited", { capacity_range: bytes(0, 48 * MIB + 1) });
    expect(Number(small.capacity_bytes)).toBeLessThanOrEqual(48 * MIB + 1);
    await csi.remove(small.volume_id);
    await refused(
      () => csi.create("limited", { capacity_range: bytes(48 * MIB + 1, 48 * MIB + 2) }),
      "OUT_OF_RANGE",
      /limit_bytes/,
    );
  });

  it("rule 8: negative ranges, and a limit below what is required: INVALID_ARGUMENT", async () => {
    for (const range of [bytes(-1), bytes(0, -1), bytes(32 * MIB, 16 * MIB)]) {
      await refused(() => csi.create("odd", { capacity_range: range }), "INVALID_ARGUMENT", /capacity_range/);
    }
  });

  it("rule 8: mutable_parameters win over parameters; an unknown mutable key: INVALID_ARGUMENT", async () => {
    const volume = await csi.create("mutable", {
      parameters: { reclaimSpace: "24h" },
      mutable_parameters: { reclaimSpace: "30m" },
    });
    expect(volume.volume_context?.reclaimSpaceMs).toBe(String(30 * 60_000));
    await csi.remove(volume.volume_id);
    const wrong = { mutable_parameters: { reclaimSpac: "30m" } };
    await refused(() => csi.create("mutable", wrong), "INVALID_ARGUMENT", /reclaimSpac.*reclaimSpace/);
  });

  it("an unknown StorageClass key: INVALID_ARGUMENT naming the nearest known one", async () => {
    const wrong = { parameters: { provisionning: "thin" } };
    await refused(() => csi.create("typo", wrong), "INVALID_ARGUMENT", /provisionning.*did you mean "provisioning"/);
  });

  it("rule 9: volume_context stays over expand and modify, a retry still is OK, and no secret is in it", async () => {
    const ask = {
      parameters: { reclaimSpace: "24h" },
      mutable_parameters: { reclaimSpace: "12h" },
      secrets: { password: "hunter2-create" },
    };
    const volume = await csi.create("steady", ask);
    expect(JSON.stringify(volume)).not.toContain("hunter2");
    await csi.expand(volume.volume_id, 64 * MIB);
    const grown = await csi.create("steady", ask);
    expect(grown).toEqual({ ...volume, capacity_bytes: String(64 * MIB) });
    await server.client.call("Controller", "ControllerModifyVolume", {
      volume_id: volume.volume_id,
      mutable_parameters: { reclaimSpace: "7d" },
    });
    expect(await csi.create("steady", ask)).toEqual(grown);
    expect((await csi.get(volume.volume_id)).volume?.volume_context).toEqual(volume.volume_context);
  });
});
