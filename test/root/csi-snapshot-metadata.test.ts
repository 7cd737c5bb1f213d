import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GetMetadataAllocatedResponse__Output as Message } from "../../proto/gen/csi/v1/GetMetadataAllocatedResponse.js";
import { block, bytes, type Calls, callsOf, type Made, MIB, readAt, tool, writeAt } from "./csi-requests.js";
import { failureOf, makeSandbox, removeSandbox, type Sandbox, startServer, type TestServer } from "./server-harness.js";

const SIZE = 64 * MIB;
type Range = [offset: number, length: number];

let sandbox: Sandbox;
let server: TestServer;
let csi: Calls;
let volume: Made;
let device = "";

beforeAll(async () => {
  sandbox = makeSandbox();
  server = await startServer(sandbox);
  csi = callsOf(server.client, sandbox);
  volume = await csi.create("raw", { volume_capabilities: [block()], capacity_range: bytes(SIZE) });
  await csi.attach(volume, block());
  await csi.publish(volume, {}, "a", block());
  device = csi.target(volume.volume_id);
});

afterAll(async () => {
  await server?.stop();
  removeSandbox(sandbox);
});

/** Writes the byte over the range of the raw device, and to disk. */
const fill = ([offset, length]: Range, byte: number) => writeAt(device, offset, Buffer.alloc(length, byte));
const cut = async (name: string) => (await csi.snapshot(name, volume.volume_id)).snapshot_id ?? "";

const allocated = (snapshot_id: string, more: object = {}) =>
  server.client.stream("SnapshotMetadata", "GetMetadataAllocated", { snapshot_id, ...more });
const delta = (base_snapshot_id: string, target_snapshot_id: string, more: object = {}) =>
  server.client.stream("SnapshotMetadata", "GetMetadataDelta", { base_snapshot_id, target_snapshot_id, ...more });

const rangesOf = (messages: readonly Message[]): Range[] =>
  messages.flatMap((one) =>
    one.block_metadata.map(({ byte_offset, size_bytes }): Range => [+byte_offset, +size_bytes]),
  );

/** Ranges with those that touch joined. */
function joined(ranges: readonly Range[]): Range[] {
  const result: Range[] = [];
  for (const [offset, length] of ranges) {
    const last = result.at(-1);
    if (last && last[0] + last[1] === offset) last[1] += length;
    else result.push([offset, length]);
  }
  return result;
}

/** Ascending, without overlap or empty range, within the volume, of one style that is the same in every message. */
function expectWellFormed(messages: readonly Message[]): void {
  let end = 0;
  for (const message of messages) {
    expect([message.block_metadata_type, message.volume_capacity_bytes]).toEqual(["VARIABLE_LENGTH", String(SIZE)]);
  }
  for (const [offset, length] of rangesOf(messages)) {
    expect(offset).toBeGreaterThanOrEqual(end);
    expect(length).toBeGreaterThan(0);
    end = offset + length;
  }
  expect(end).toBeLessThanOrEqual(SIZE);
}

const written: Range[] = [
  [0, MIB],
  [5 * MIB, MIB],
  [6 * MIB, MIB],
  [20 * MIB, 2 * MIB],
  [SIZE - MIB, MIB],
];

describe("GetMetadataAllocated", () => {
  it("rule 32: nothing written: no range; then exactly where data was written, ascending, no overlap, one style", async () => {
    const blank = await allocated(await cut("blank"));
    expect(rangesOf(blank)).toEqual([]);
    expect(blank[0]?.volume_capacity_bytes).toBe(String(SIZE));
    for (const [i, range] of written.entries()) fill(range, i + 1);
    const snapshot = await cut("written");
    const messages = await allocated(snapshot);
    expectWellFormed(messages);
    expect(joined(rangesOf(messages))).toEqual(joined(written));
    // What a backup reads at these ranges is what was written.
    for (const [i, [offset, length]] of written.entries()) {
      const image = `${sandbox.poolDir}/snapshots/${snapshot}/image`;
      expect(readAt(image, offset, length).equals(Buffer.alloc(length, i + 1))).toBe(true);
    }
  });

  it("rule 32: a stream resumes at any starting_offset, without repeating or skipping a byte", async () => {
    const snapshot = await cut("resume");
    for (const starting_offset of [0, MIB, 5 * MIB + 4096, 7 * MIB, 21 * MIB, SIZE]) {
      const messages = await allocated(snapshot, { starting_offset: String(starting_offset) });
      expectWellFormed(messages);
      const expected = joined(written).flatMap(([offset, length]): Range[] => {
        const start = Math.max(offset, starting_offset);
        return offset + length > start ? [[start, offset + length - start]] : [];
      });
      expect(joined(rangesOf(messages))).toEqual(expected);
    }
  });

  it("max_results: no message holds more ranges, and together they hold all", async () => {
    const snapshot = await cut("pages");
    const whole = rangesOf(await allocated(snapshot));
    expect(whole.length).toBeGreaterThan(2);
    for (const max_results of [1, 2, 1000]) {
      const messages = await allocated(snapshot, { max_results });
      for (const message of messages) expect(message.block_metadata.length).toBeLessThanOrEqual(max_results);
      expect(messages).toHaveLength(Math.ceil(whole.length / max_results));
      expect(rangesOf(messages)).toEqual(whole);
    }
  });

  it("rule 32: a bad offset: OUT_OF_RANGE; a negative max_results: INVALID_ARGUMENT; no snapshot: NOT_FOUND", async () => {
    const snapshot = await cut("bad");
    for (const starting_offset of [String(SIZE + 1), "-1", "9223372036854775807", "-9223372036854775808"]) {
      expect((await failureOf(allocated(snapshot, { starting_offset }))).code).toBe("OUT_OF_RANGE");
      expect((await failureOf(delta(snapshot, snapshot, { starting_offset }))).code).toBe("OUT_OF_RANGE");
    }
    expect((await failureOf(allocated(snapshot, { max_results: -1 }))).code).toBe("INVALID_ARGUMENT");
    expect((await failureOf(allocated(""))).code).toBe("INVALID_ARGUMENT");
    expect((await failureOf(allocated("not-ours"))).code).toBe("NOT_FOUND");
  });
});

describe("GetMetadataDelta", () => {
  it("rule 32: exactly the ranges that changed: overwritten, newly written, discarded", async () => {
    const base = await cut("delta-base");
    const changed: Range[] = [
      [MIB / 2, 4096],
      [10 * MIB, MIB],
      [20 * MIB + 65_536, 65_536],
    ];
    for (const range of changed) fill(range, 0x77);
    const target = await cut("delta-target");
    const messages = await delta(base, target);
    expectWellFormed(messages);
    expect(joined(rangesOf(messages))).toEqual(changed);
    expect(rangesOf(await delta(target, target))).toEqual([]);
    tool("blkdiscard", "--offset", String(5 * MIB), "--length", String(2 * MIB), device);
    const discarded = await cut("delta-discarded");
    expect(joined(rangesOf(await delta(target, discarded)))).toEqual([[5 * MIB, 2 * MIB]]);
    // From further back, all of it.
    const both = [...changed, [5 * MIB, 2 * MIB] as Range].sort((a, b) => a[0] - b[0]);
    expect(joined(rangesOf(await delta(base, discarded)))).toEqual(both);
  });

  it("of different volumes, or the newer as base: INVALID_ARGUMENT; a missing one: NOT_FOUND", async () => {
    const older = await cut("older");
    await new Promise((resolve) => setTimeout(resolve, 5));
    const newer = await cut("newer");
    const other = await csi.create("other", { volume_capabilities: [block()] });
    const foreign = (await csi.snapshot("foreign", other.volume_id)).snapshot_id ?? "";
    expect((await failureOf(delta(newer, older))).code).toBe("INVALID_ARGUMENT");
    expect((await failureOf(delta(older, foreign))).code).toBe("INVALID_ARGUMENT");
    expect((await failureOf(delta(older, "not-ours"))).code).toBe("NOT_FOUND");
    expect((await failureOf(delta("not-ours", newer))).code).toBe("NOT_FOUND");
  });
});

describe("GetMetadataDelta on a pool without reflinks", () => {
  it("rule 32: no tracking: FAILED_PRECONDITION saying what has it; allocated ranges are told all the same", async () => {
    const plain = makeSandbox(0);
    try {
      const image = `${plain.dir}/pool.img`;
      tool("truncate", "-s", String(512 * MIB), image);
      tool("mkfs.ext4", "-q", image);
      tool("mount", "-o", "loop", image, plain.poolDir);
      const copying = await startServer(plain);
      try {
        const calls = callsOf(copying.client, plain);
        const one = await calls.create("raw", { volume_capabilities: [block()], capacity_range: bytes(SIZE) });
        writeAt(calls.image(one.volume_id), 8 * MIB, Buffer.alloc(MIB, 1));
        const ids = [];
        for (const name of ["one", "two"]) ids.push((await calls.snapshot(name, one.volume_id)).snapshot_id ?? "");
        const [snapshot_id = "", target_snapshot_id = ""] = ids;
        const messages = await copying.client.stream("SnapshotMetadata", "GetMetadataAllocated", { snapshot_id });
        expect(joined(rangesOf(messages))).toEqual([[8 * MIB, MIB]]);
        const request = { base_snapshot_id: snapshot_id, target_snapshot_id };
        const failure = await failureOf(copying.client.stream("SnapshotMetadata", "GetMetadataDelta", request));
        expect(failure).toEqual({
          code: "FAILED_PRECONDITION",
          details: expect.stringContaining("reflinks") as string,
        });
      } finally {
        await copying.stop();
      }
    } finally {
      removeSandbox(plain);
    }
  });
});
