import { existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { timeOtherRpcs } from "./other-rpcs.js";
import type { Report, Row } from "./report.js";
import { RpcTimes } from "./rpc-times.js";
import { runTool } from "./run-tool.js";
import { compare, percentile, rotated } from "./statistics.js";
import { type Trip, travel } from "./trip.js";
import { type Run, timed, type World, withWorld } from "./world.js";

const GIB = 1024 ** 3;
const MAX_RATIO = 1.15;
const POOL_BYTES = 16 * GIB;

const UP = "create, publish, stage, publish";
const WAYS = {
  [UP]: (trip: Trip) => trip.upMs,
  "unpublish, unstage, unpublish, delete": (trip: Trip) => trip.downMs,
};

/** Who takes the way: the driver, the tools in a script, and the same script with durable notes of its steps. */
const KINDS = ["driver", "script", "recorded"] as const;
type Kind = (typeof KINDS)[number];

/** A volume's life, from nothing to a mounted pod folder and back, beside the same tools in a shell script. */
export async function benchLifecycle(run: Run): Promise<Report> {
  const [rounds, warmUp] = run.quick ? [3, 1] : [60, 5];
  return withWorld(POOL_BYTES, async (world) => {
    const times = new RpcTimes();
    const trips: Record<Kind, Trip[]> = { driver: [], script: [], recorded: [] };
    for (let round = -warmUp; round < rounds; round++) {
      if (round % 10 === 0) run.progress(`lifecycle: round ${Math.max(round, 0) + 1} of ${rounds}`);
      if (round === 0) times.forget();
      for (const kind of rotated(KINDS, round + warmUp)) {
        run.signal.throwIfAborted();
        const name = `trip-${round + warmUp}`;
        const trip =
          kind === "driver" ? await travel(world.calls, times, name) : await byScript(run, world, name, kind);
        if (round >= 0) trips[kind].push(trip);
      }
    }
    const others = await timeOtherRpcs(run, world);
    return reportOf(trips, times, others, `${rounds} interleaved rounds after ${warmUp} that are not counted`);
  });
}

/** The sources' file: tsc does not copy a script beside what it compiles. */
function bareTools(): string {
  for (let dir = dirname(fileURLToPath(import.meta.url)); dir !== dirname(dir); dir = dirname(dir)) {
    const path = join(dir, "test", "bench", "bare-tools.sh");
    if (existsSync(path)) return path;
  }
  throw new Error("test/bench/bare-tools.sh is missing from the checkout");
}

const SCRIPT = bareTools();

async function byScript(run: Run, { sandbox }: World, trip: string, kind: "script" | "recorded"): Promise<Trip> {
  const name = `${kind}-${trip}`;
  const bare = join(sandbox.poolDir, "bare");
  const records = join(sandbox.dir, "bare-records", name);
  for (const dir of [bare, records]) mkdirSync(dir, { recursive: true });
  const paths = [join(bare, name), join(sandbox.dir, "bare-staging", name), join(sandbox.dir, "bare-pods", name)];
  const last = kind === "recorded" ? [records] : [];
  const up = await timed(() => runTool(run.signal, "bash", SCRIPT, "up", ...paths, String(GIB), ...last));
  const down = await timed(() => runTool(run.signal, "bash", SCRIPT, "down", ...paths, ...last));
  return { upMs: up.ms, downMs: down.ms };
}

function reportOf(trips: Record<Kind, readonly Trip[]>, times: RpcTimes, others: RpcTimes, how: string): Report {
  const rows: Row[] = [];
  const measurements: Record<string, readonly number[]> = {};
  for (const [way, pick] of Object.entries(WAYS)) {
    const ms = (kind: Kind) => trips[kind].map(pick);
    for (const kind of KINDS) {
      measurements[`${way}: ${kind}, ms`] = ms(kind);
      const cells = [percentile(ms(kind), 50), percentile(ms(kind), 99)];
      if (kind === "driver") {
        rows.push({ name: `${way}: the driver`, cells: [...cells, "", ""] });
        continue;
      }
      const { ratio, pairwise } = compare(ms("driver"), ms(kind));
      const isTarget = kind === "script" && pick === WAYS[UP];
      rows.push({
        name: `${way}: ${kind === "script" ? "the tools in a script" : "that script, with durable notes"}`,
        cells: [...cells, ratio.toFixed(3), pairwise.toFixed(3)],
        ...(isTarget ? { target: { value: ratio, atMost: MAX_RATIO } } : {}),
      });
    }
  }
  return {
    benchmark: "lifecycle",
    measurements: { ...measurements, ...times.measurements(), ...others.measurements() },
    sections: [
      {
        title: `Life of an ext4 volume of 1 GiB: the driver's RPCs, and a shell script of the same tools (${how})`,
        columns: ["p50 ms", "p99 ms", "driver against it", "the same, a round"],
        rows,
        notes: ["test/bench/bare-tools.sh says what the script does, what it leaves out, and what its notes are."],
      },
      times.section("Every RPC of that life, as the client sees it", []),
      others.section("Every other RPC, as the client sees it", [
        "NodeStage to NodeUnpublish above: ext4. NodeExpandVolume here: a raw block volume, grown by 1 MiB each time.",
      ]),
    ],
  };
}
