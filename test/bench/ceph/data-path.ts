import { block, bytes } from "../../root/csi-requests.js";
import { fill, measure, WORKLOADS, type Workload } from "../fio.js";
import type { Report, Row } from "../report.js";
import { compare, median, rotated } from "../statistics.js";
import type { Run } from "../world.js";
import { type Mapped, mapByHand } from "./by-hand.js";
import { type CephWorld, RBD_CLASS, withCephWorld } from "./ceph-run.js";
import { rbdBench } from "./rbd-bench.js";

const MIB = 1024 ** 2;
const MIN_RATIO = 0.98;
const IMAGE = "by-hand";

/** A provisioned volume's published device, an image mapped by hand, and librbd without any device. */
const CANDIDATES = ["volume", "byHand", "librbd"] as const;
type Candidate = (typeof CANDIDATES)[number];
type Measured = Record<Candidate, number[]>;

const isRandom = (workload: Workload) => workload.rw.startsWith("rand");

/** An RBD volume's data path: nothing of the driver may stand between a workload and the mapper. */
export async function benchCephDataPath(run: Run): Promise<Report> {
  const sizeBytes = run.quick ? 64 * MIB : 1024 * MIB;
  const [rounds, seconds] = run.quick ? [1, 1] : [9, 4];
  return withCephWorld(run, async (world) => {
    const { device, byHand } = await prepare(run, world, sizeBytes);
    try {
      const measured = new Map<Workload, Measured>();
      for (const workload of WORKLOADS) {
        const series: Measured = { volume: [], byHand: [], librbd: [] };
        measured.set(workload, series);
        for (let round = 0; round < rounds; round++) {
          run.progress(`data-path: ${workload.name}, round ${round + 1} of ${rounds}`);
          for (const candidate of rotated(CANDIDATES, round)) {
            const path = candidate === "volume" ? device : byHand.device;
            const found =
              candidate === "librbd"
                ? // As much as takes some seconds here.
                  await rbdBench(
                    run.signal,
                    world.place,
                    IMAGE,
                    workload,
                    (isRandom(workload) ? 8 : 256) * MIB * seconds,
                  )
                : await measure(run.signal, path, sizeBytes, workload, seconds);
            series[candidate].push(isRandom(workload) ? found.operationsPerSecond : found.mebibytesPerSecond);
          }
        }
      }
      return reportOf(measured, byHand, `${rounds} rounds of ${seconds} s, ${sizeBytes / MIB} MiB each`);
    } finally {
      await byHand.unmap();
    }
  });
}

async function prepare(run: Run, { calls, place, sandbox }: CephWorld, sizeBytes: number) {
  const volume = await calls.create("data-path", {
    ...{ capacity_range: bytes(sizeBytes), volume_capabilities: [block()], parameters: RBD_CLASS },
  });
  await calls.attach(volume, block());
  await calls.publish(volume, {}, "a", block());
  place.rbd("create", "--size", `${sizeBytes / MIB}M`, `${place.spec}/${IMAGE}`);
  const byHand = await mapByHand(run.signal, place, IMAGE, sandbox.dir);
  const device = calls.target(volume.volume_id);
  for (const path of [device, byHand.device]) {
    run.progress(`data-path: writing ${sizeBytes / MIB} MiB to ${path}`);
    await fill(run.signal, path, sizeBytes);
  }
  return { device, byHand };
}

function reportOf(measured: Map<Workload, Measured>, { mapper }: Mapped, how: string): Report {
  const rows: Row[] = [];
  const measurements: Record<string, readonly number[]> = {};
  for (const [workload, series] of measured) {
    const unit = isRandom(workload) ? "operations/s" : "MiB/s";
    for (const candidate of CANDIDATES) measurements[`${workload.name}: ${candidate}, ${unit}`] = series[candidate];
    const { ratio, pairwise, spread } = compare(series.volume, series.byHand);
    const direct = compare(series.volume, series.librbd);
    rows.push({
      name: `${workload.name}, ${unit}`,
      cells: [
        ...CANDIDATES.map((candidate) => median(series[candidate])),
        ...[pairwise.toFixed(3), spread.map((quartile) => quartile.toFixed(3)).join(" to "), direct.ratio.toFixed(3)],
      ],
      target: { value: ratio, atLeast: MIN_RATIO },
    });
  }
  return {
    ...{ benchmark: "data-path", measurements },
    sections: [
      {
        title: `An RBD volume's device, by ${mapper} (${how})`,
        columns: ["volume", "by hand", "rbd bench", "ratio a round", "its quartiles", "against rbd bench"],
        rows,
        notes: [
          `By hand: an image of the same size, mapped by ${mapper} with the same options. The target is the ratio of the medians.`,
          "rbd bench is librbd in one process, with its write-back cache and no device: it is what the mapper itself costs.",
        ],
      },
    ],
  };
}
