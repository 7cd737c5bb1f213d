import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Calls, callsOf, MIB } from "./csi-requests.js";
import { failureOf, makeSandbox, removeSandbox, type Sandbox, startServer, type TestServer } from "./server-harness.js";

const COUNT = 23;
let sandbox: Sandbox;
let server: TestServer;
let csi: Calls;
const volumes: string[] = [];
const snapshots: string[] = [];
/** Whose the snapshots are, in turn: a test deletes volumes, these two may be of them. */
let sources: readonly string[] = [];

beforeAll(async () => {
  sandbox = makeSandbox();
  server = await startServer(sandbox);
  csi = callsOf(server.client, sandbox);
  for (let i = 0; i < COUNT; i++) volumes.push((await csi.create(`volume-${i}`)).volume_id);
  for (let i = 0; i < COUNT; i++) {
    sources = volumes.slice(0, 2);
    snapshots.push((await csi.snapshot(`snapshot-${i}`, sources[i % 2] ?? "")).snapshot_id ?? "");
  }
});

afterAll(async () => {
  await server?.stop();
  removeSandbox(sandbox);
});

interface Page {
  ids: string[];
  next: string;
}
type List = (token: string, max: number) => Promise<Page>;

const listVolumes: List = async (starting_token, max_entries) => {
  const page = await server.client.call("Controller", "ListVolumes", { starting_token, max_entries });
  return { ids: page.entries?.map((e) => e.volume?.volume_id ?? "") ?? [], next: page.next_token ?? "" };
};

const listSnapshots: List = async (starting_token, max_entries) => {
  const page = await server.client.call("Controller", "ListSnapshots", { starting_token, max_entries });
  return { ids: page.entries?.map((e) => e.snapshot?.snapshot_id ?? "") ?? [], next: page.next_token ?? "" };
};

describe.each([
  ["ListVolumes", listVolumes, volumes],
  ["ListSnapshots", listSnapshots, snapshots],
])("%s", (_rpc, list, expected) => {
  it("rule 17: max_entries of 0 has no page cap of our own", async () => {
    const page = await list("", 0);
    expect([page.ids.sort(), page.next]).toEqual([[...expected].sort(), ""]);
  });

  it.each([1, 7, COUNT, COUNT + 1])("rule 17: never more than max_entries, %i; pages hold each once", async (max) => {
    const seen: string[] = [];
    let token = "";
    do {
      const page = await list(token, max);
      expect(page.ids.length).toBeLessThanOrEqual(max);
      expect(page.ids.length).toBeGreaterThan(0);
      seen.push(...page.ids);
      token = page.next;
    } while (token !== "");
    expect(seen.sort()).toEqual([...expected].sort());
  });

  it.each(["not-a-token", "-1", "9999", "g1-l-v-", "\u0001", "x".repeat(70_000)])(
    "rule 17: an invalid token: ABORTED (%#)",
    async (token) => {
      expect((await failureOf(list(token, 1))).code).toBe("ABORTED");
    },
  );

  it("negative max_entries: INVALID_ARGUMENT", async () => {
    expect((await failureOf(list("", -1))).code).toBe("INVALID_ARGUMENT");
  });
});

describe("ListVolumes", () => {
  it("rule 17: a token stands while its volume is deleted and others come", async () => {
    const first = await listVolumes("", 5);
    const extra = (await csi.create("extra")).volume_id;
    await csi.remove(first.next);
    const rest = await listVolumes(first.next, 0);
    const kept = [...volumes, extra].filter((id) => id > first.next).sort();
    expect(rest.ids).toEqual(kept);
    await csi.remove(extra);
    volumes.splice(volumes.indexOf(first.next), 1);
  });

  it("tells the nodes that a volume is published to, and its condition", async () => {
    const [id = ""] = [...volumes].sort();
    await csi.controllerPublish(id);
    const { entries } = await server.client.call("Controller", "ListVolumes", { max_entries: 1 });
    expect(entries?.[0]?.status).toEqual({
      published_node_ids: ["host-1"],
      volume_condition: { abnormal: false, message: expect.stringMatching(/./) as string },
    });
    await csi.controllerUnpublish(id);
  });
});

describe("ListSnapshots", () => {
  const filtered = async (filter: { snapshot_id?: string; source_volume_id?: string }) => {
    const { entries } = await server.client.call("Controller", "ListSnapshots", filter);
    return (entries ?? []).map((entry) => entry.snapshot);
  };

  it("filters by snapshot, by source, and by both", async () => {
    const [snapshot_id = ""] = snapshots;
    const [source_volume_id = "", other = ""] = sources;
    const found = await filtered({ snapshot_id });
    expect(found).toEqual([
      expect.objectContaining({ snapshot_id, source_volume_id, ready_to_use: true, size_bytes: String(32 * MIB) }),
    ]);
    expect(await filtered({ source_volume_id })).toHaveLength(Math.ceil(COUNT / 2));
    expect(await filtered({ snapshot_id, source_volume_id: other })).toEqual([]);
  });

  it("rule 18: an unknown filter, however odd: an empty list, OK", async () => {
    for (const odd of ["no-such-id", `g1-l-s-${"0".repeat(24)}`, "../../etc", "a\u0000b\n", "x".repeat(70_000)]) {
      expect(await filtered({ snapshot_id: odd })).toEqual([]);
      expect(await filtered({ source_volume_id: odd })).toEqual([]);
    }
  });
});

describe("GetSnapshot", () => {
  it("rule 19: answers what the list does; a missing one: NOT_FOUND", async () => {
    const [snapshot_id = ""] = snapshots;
    const { snapshot } = await server.client.call("Controller", "GetSnapshot", { snapshot_id });
    const { entries } = await server.client.call("Controller", "ListSnapshots", { snapshot_id });
    expect(snapshot).toEqual(entries?.[0]?.snapshot);
    const gone = server.client.call("Controller", "GetSnapshot", { snapshot_id: `g1-l-s-${"0".repeat(24)}` });
    expect((await failureOf(gone)).code).toBe("NOT_FOUND");
  });
});
