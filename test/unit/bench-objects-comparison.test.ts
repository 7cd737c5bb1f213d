import { describe, expect, it } from "vitest";
import { fastest, type Rounds, ratioOf, ratioRow, rivalOf, rowsOf } from "../bench/objects/comparison.js";
import { GRANARY, PEERS } from "../bench/objects/contenders.js";
import type { Measurement } from "../bench/objects/measured-load.js";

const round = (opsPerSecond: number): Measurement => ({
  operations: opsPerSecond,
  bytes: 0,
  seconds: 1,
  waitedSeconds: 1,
  p50Ms: 1,
  p99Ms: 2,
  maxMs: 3,
  clientCpuSeconds: 0,
  reconnects: 0,
  compared: 0,
  nextKey: 0,
  failures: 0,
  failureTexts: [],
  opsPerSecond,
  mibPerSecond: 0,
  serverCpuMs: 0.5,
  clientCpuMs: 0.02,
  pssMib: 100,
  anonymousMib: 50,
});
const of = (contender: Rounds["contender"] | undefined, ...speeds: number[]): Rounds => {
  if (contender === undefined) throw new Error("no such contender");
  return { contender, rounds: speeds.map(round) };
};
const peer = (name: string, ...speeds: number[]) =>
  of(
    PEERS.find((known) => known.name === name),
    ...speeds,
  );

describe("the rival of an operation", () => {
  const peers = [peer("minio", 100, 120), peer("minio-sync", 90, 200, 80), peer("versitygw", 500, 400)];

  it("of a write is the fastest peer that syncs, by the median of its rounds", () => {
    expect(rivalOf("PUT", peers)?.contender.name).toBe("minio");
    expect(rivalOf("DELETE", peers)?.contender.name).toBe("minio");
  });

  it("of a read is the fastest of all", () => {
    expect(rivalOf("GET", peers)?.contender.name).toBe("versitygw");
    expect(rivalOf("HEAD", peers)?.contender.name).toBe("versitygw");
  });

  it("is none without peers, without rounds, or when no peer syncs", () => {
    expect(rivalOf("GET", [])).toBeUndefined();
    expect(fastest([peer("minio")])).toBeUndefined();
    expect(rivalOf("PUT", [peer("versitygw", 500)])).toBeUndefined();
  });
});

describe("a ratio", () => {
  it("is of the medians of as many rounds as both have", () => {
    expect(ratioOf(of(GRANARY, 300, 200, 100), peer("minio", 100, 100))?.ratio).toBe(2.5);
  });

  it("is none when one has no rounds", () => {
    expect(ratioOf(of(GRANARY), peer("minio", 1))).toBeUndefined();
    expect(ratioOf(undefined, peer("minio", 1))).toBeUndefined();
  });
});

describe("the rows of an operation", () => {
  const minio = peer("minio", 100);

  it("Granary's alone has the target", () => {
    const [ours, theirs] = rowsOf("PUT", [of(GRANARY, 160), minio], minio, 1.5);
    expect(ours).toMatchObject({ name: "PUT: Granary", target: { value: 1.6, atLeast: 1.5 } });
    expect(ours?.cells).toEqual([160, 0, 1, 2, 0.5, 0.02, 100, 50]);
    expect(theirs?.target).toBeUndefined();
  });

  it("without a rival or a factor there is no target, and who was not measured has no row", () => {
    expect(rowsOf("PUT", [of(GRANARY, 160)], undefined, 1.5)[0]?.target).toBeUndefined();
    expect(rowsOf("DELETE", [of(GRANARY, 160)], minio)[0]?.target).toBeUndefined();
    expect(rowsOf("PUT", [of(GRANARY)], minio, 1.5)).toEqual([]);
  });

  it("the ratios name who they are against", () => {
    const peers = [minio, peer("versitygw", 400)];
    const [row] = ratioRow("GET", of(GRANARY, 200), rivalOf("GET", peers), peers);
    expect(row?.cells).toEqual(["versitygw", "0.500", "0.500", "0.500 to 0.500", "2.000 (MinIO)", "0.500 (versitygw)"]);
    expect(ratioRow("GET", of(GRANARY, 200), undefined, [])).toEqual([]);
  });
});
