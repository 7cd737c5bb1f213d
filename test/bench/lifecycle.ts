import { existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { bytes, type Calls } from "../root/csi-requests.js";
import { timeOtherRpcs } from "./other-rpcs.js";
import type { Report, Row } from "./report.js";
import { RpcTimes } from "./rpc-times.js";
import { runTool } from "./run-tool.js";
import { compare, median, percentile, rotated } from "./statistics.js";
import { type Run, timed, type World, withWorld } from "./world.js";

const GIB = 1024 ** 3;
const MAX_RATIO = 1.15;
const POOL_BYTES = 16 * GIB;

/** Milliseconds of a whole way up (create to published) and a whole way down. */
interface Trip {
  upMs: number;
  downMs: number;
}

/** A volume's life, from nothing to a mounted pod folder and back, beside the same tools in a shell script. */
export async function benchLifecycle(run: Run): Promise<Report> {
  const [rounds, warmUp] = run.quick ? [3, 1] : [60, 5];
  return withWorld(POOL_BYTES, async (world) => {
    const times = new RpcTimes();
    const trips: Record<"driver" | "script", Trip[]> = { driver: [], script: [] };
    const kinds = ["driver", "script"] as const;
    for (let round = -warmUp; round < rounds; round++) {
      if (round % 10 === 0) run.progress(`lifecycle: round ${Math.max(round, 0) + 1} of ${rounds}`);
      if (round === 0) times.forget();
      for (const kind of rotated(kinds, round + warmUp)) {
        run.signal.throwIfAborted();
        const name = `trip-${round + warmUp}`;
        const trip = kind === "driver" ? await byDriver(world.calls, times, name) : await byScript(run, world, name);
        if (round >= 0) trips[kind].push(trip);
      }
    }
    const others = await timeOtherRpcs(run, world);
    return reportOf(trips, times, others, `${rounds} interleaved rounds after ${warmUp} that are not counted`);
  });
}

async function byDriver(calls: Calls, times: RpcTimes, name: string): Promise<Trip> {
  const up = await timed(async () => {
    const volume = await times.call("CreateVolume", () => calls.create(name, { capacity_range: bytes(GIB) }));
    const id = volume.volume_id;
    const published = await times.call("ControllerPublishVolume", () => calls.controllerPublish(id));
    const context = published.publish_context ?? {};
    await times.call("NodeStageVolume", () => calls.stage(volume, context));
    await times.call("NodePublishVolume", () => calls.publish(volume, { publish_context: context }));
    return id;
  });
  const id = up.answer;
  const down = await timed(async () => {
    await times.call("NodeUnpublishVolume", () => calls.unpublish(id));
    await times.call("NodeUnstageVolume", () => calls.unstage(id));
    await times.call("ControllerUnpublishVolume", () => calls.controllerUnpublish(id));
    await times.call("DeleteVolume", () => calls.remove(id));
  });
  return { upMs: up.ms, downMs: down.ms };
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

async function byScript(run: Run, { sandbox }: World, name: string): Promise<Trip> {
  const bare = join(sandbox.poolDir, "bare");
  mkdirSync(bare, { recursive: true });
  const paths = [join(bare, name), join(sandbox.dir, "bare-staging", name), join(sandbox.dir, "bare-pods", name)];
  const up = await timed(() => runTool(run.signal, "bash", SCRIPT, "up", ...paths, String(GIB)));
  const down = await timed(() => runTool(run.signal, "bash", SCRIPT, "down", ...paths));
  return { upMs: up.ms, downMs: down.ms };
}

function reportOf(
  trips: Record<"driver" | "script", readonly Trip[]>,
  times: RpcTimes,
  others: RpcTimes,
  how: string,
): Report {
  const series = (pick: (trip: Trip) => number) => [trips.driver.map(pick), trips.script.map(pick)] as const;
  const [driverUp, scriptUp] = series((trip) => trip.upMs);
  const [driverDown, scriptDown] = series((trip) => trip.downMs);
  const row = (name: string, driver: readonly number[], script: readonly number[], isTarget: boolean): Row => {
    const { ratio, pairwise } = compare(driver, script);
    const cells = [median(driver), percentile(driver, 99), median(script), percentile(script, 99)];
    return {
      name,
      cells: [...cells, ratio.toFixed(3), pairwise.toFixed(3)],
      ...(isTarget ? { target: { value: ratio, atMost: MAX_RATIO } } : {}),
    };
  };
  return {
    benchmark: "lifecycle",
    measurements: {
      "driver up, ms": driverUp,
      "script up, ms": scriptUp,
      "driver down, ms": driverDown,
      "script down, ms": scriptDown,
      ...times.measurements(),
      ...others.measurements(),
    },
    sections: [
      {
        title: `Life of an ext4 volume of 1 GiB: the driver's RPCs, and a shell script of the same tools (${how})`,
        columns: ["driver p50 ms", "driver p99", "script p50 ms", "script p99", "ratio", "ratio a round"],
        rows: [
          row("create, publish, stage, publish", driverUp, scriptUp, true),
          row("unpublish, unstage, unpublish, delete", driverDown, scriptDown, false),
        ],
        notes: ["test/bench/bare-tools.sh says what the script does, and what it leaves out."],
      },
      times.section("Every RPC of that life, as the client sees it", []),
      others.section("Every other RPC, as the client sees it", [
        "NodeStage to NodeUnpublish above: ext4. NodeExpandVolume here: a raw block volume, grown by 1 MiB each time.",
      ]),
    ],
  };
}
