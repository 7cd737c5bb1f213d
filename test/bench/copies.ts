import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { block, bytes, fromSnapshot, fromVolume, type Made } from "../root/csi-requests.js";
import type { Report, Row, Section } from "./report.js";
import { runTool } from "./run-tool.js";
import { median, percentile, rotated, timesApart } from "./statistics.js";
import { type Run, timed, type World, withWorld } from "./world.js";

const [KIB, MIB, GIB] = [1024, 1024 ** 2, 1024 ** 3];
const MAX_APART = 1.5;
const MAX_ENGINE_MS = 50;

/** How a source volume was written before it is copied. */
interface Source {
  name: string;
  sizeBytes: number;
  /** Of each piece of data, and from one piece's start to the next one's. */
  pieceBytes: number;
  strideBytes: number;
  /** From the volume's start: where the last piece ends, at most. */
  rangeBytes: number;
  /** Whether the targets are for it; the others only show what the time grows with. */
  judged: boolean;
}

const SOURCES: readonly Source[] = [
  {
    name: "100 MiB, written whole",
    sizeBytes: GIB,
    ...{ pieceBytes: MIB, strideBytes: MIB, rangeBytes: 100 * MIB, judged: true },
  },
  // As much data, spread over 50 GiB: what differs is the size alone, as far as a file can be spread without extents.
  {
    name: "50 GiB, 1 MiB in each 512 MiB",
    sizeBytes: 64 * GIB,
    ...{ pieceBytes: MIB, strideBytes: 512 * MIB, rangeBytes: 50 * GIB, judged: true },
  },
  {
    name: "50 GiB, 1 MiB in each 128 MiB",
    sizeBytes: 64 * GIB,
    ...{ pieceBytes: MIB, strideBytes: 128 * MIB, rangeBytes: 50 * GIB, judged: false },
  },
  {
    name: "50 GiB, 4 KiB in each 4 MiB",
    sizeBytes: 64 * GIB,
    ...{ pieceBytes: 4 * KIB, strideBytes: 4 * MIB, rangeBytes: 50 * GIB, judged: false },
  },
];

const OPERATIONS = ["snapshot", "clone", "restore"] as const;
type Operation = (typeof OPERATIONS)[number];

/** Milliseconds of one operation on one source, a round each. */
interface Series {
  serverMs: number[];
  clientMs: number[];
}
type Measured = Record<Operation, Series>;
interface Prepared {
  source: Source;
  volume: Made;
  snapshotId: string;
  extents: number;
}

/** Copies: on a pool with reflinks their time is that of the shared extents' map, whatever the data's size. */
export async function benchCopies(run: Run): Promise<Report> {
  const [rounds, warmUp] = run.quick ? [3, 1] : [25, 3];
  return withWorld(128 * GIB, async (world) => {
    const prepared: Prepared[] = [];
    for (const source of SOURCES) prepared.push(await prepare(run, world, source));
    const measured = new Map<Source, Measured>(
      SOURCES.map((source) => [source, { snapshot: none(), clone: none(), restore: none() }]),
    );
    // The judged ones first and by themselves: what a long copy leaves in the file system's log is none of theirs.
    for (const judged of [true, false]) {
      const group = prepared.filter(({ source }) => source.judged === judged);
      for (let round = -warmUp; round < rounds; round++) {
        if (round % 5 === 0) run.progress(`copies: round ${Math.max(round, 0) + 1} of ${rounds}`);
        for (const one of rotated(group, round + warmUp)) {
          for (const operation of OPERATIONS) {
            run.signal.throwIfAborted();
            const { serverMs, clientMs } = await once(world, one, operation, `${operation}-${round + warmUp}`);
            const series = measured.get(one.source)?.[operation];
            if (round < 0 || !series) continue;
            series.serverMs.push(serverMs);
            series.clientMs.push(clientMs);
          }
        }
      }
    }
    return reportOf(prepared, measured, `${rounds} interleaved rounds after ${warmUp} that are not counted`);
  });
}

const none = (): Series => ({ serverMs: [], clientMs: [] });

async function prepare(run: Run, world: World, source: Source): Promise<Prepared> {
  run.progress(`copies: writing ${source.name}`);
  const { calls } = world;
  const volume = await calls.create(source.name.replaceAll(" ", "-"), {
    capacity_range: bytes(source.sizeBytes),
    volume_capabilities: [block()],
  });
  const id = volume.volume_id;
  await calls.attach(volume, block());
  await calls.publish(volume, {}, "a", block());
  writePieces(run.signal, calls.target(id), source);
  await calls.unpublish(id);
  await calls.detach(id);
  const snapshot = await calls.snapshot(`of-${id}`, id);
  return { source, volume, snapshotId: snapshot.snapshot_id ?? "", extents: await extentsOf(run, calls.image(id)) };
}

/** Through the published device, as a pod writes. */
function writePieces(signal: AbortSignal, device: string, source: Source): void {
  const piece = Buffer.alloc(source.pieceBytes, 0xa5);
  const file = openSync(device, "r+");
  try {
    for (let at = 0; at + piece.length <= source.rangeBytes; at += source.strideBytes) {
      signal.throwIfAborted();
      if (writeSync(file, piece, 0, piece.length, at) !== piece.length) throw new Error(`short write to ${device}`);
    }
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Rows of the file system's own extent map: a gap between two pieces ends an extent, wherever they lie on the disk. */
async function extentsOf(run: Run, image: string): Promise<number> {
  const rows = (await runTool(run.signal, "filefrag", "-s", "-v", image)).match(/^ *\d+: +\d+\.\. *\d+:/gm);
  if (!rows) throw new Error(`filefrag finds no extents of ${image}`);
  return rows.length;
}

/** The copy stays: the file system frees a large one's extents behind a delete, beside what is measured next. */
async function once(world: World, one: Prepared, operation: Operation, name: string) {
  const method = operation === "snapshot" ? "CreateSnapshot" : "CreateVolume";
  const beforeS = await world.serverSeconds(method);
  const { ms } = await timed(() => copy(world, one, operation, name));
  const serverMs = ((await world.serverSeconds(method)) - beforeS) * 1000;
  if (serverMs <= 0) throw new Error(`the server's metrics count no ${method}`);
  return { serverMs, clientMs: ms };
}

async function copy(world: World, one: Prepared, operation: Operation, name: string): Promise<void> {
  const { calls } = world;
  const id = one.volume.volume_id;
  if (operation === "snapshot") {
    await calls.snapshot(`${name}-${id}`, id);
    return;
  }
  await calls.create(`${name}-${id}`, {
    capacity_range: bytes(one.source.sizeBytes),
    volume_capabilities: [block()],
    volume_content_source: operation === "clone" ? fromVolume(id) : fromSnapshot(one.snapshotId),
  });
}

function reportOf(prepared: readonly Prepared[], measured: ReadonlyMap<Source, Measured>, how: string): Report {
  const measurements: Record<string, number[]> = {};
  const rows: Row[] = [];
  const apart: Row[] = [];
  for (const operation of OPERATIONS) {
    const judgedMs: number[] = [];
    for (const { source, extents } of prepared) {
      const series = measured.get(source)?.[operation] ?? none();
      const { serverMs, clientMs } = series;
      const engineMs = median(serverMs);
      if (source.judged) judgedMs.push(engineMs);
      measurements[`${operation}, ${source.name}, server, ms`] = serverMs;
      measurements[`${operation}, ${source.name}, client, ms`] = clientMs;
      rows.push({
        name: `${operation}: ${source.name}`,
        cells: [extents, engineMs, percentile(serverMs, 99), median(clientMs), percentile(clientMs, 99)],
        ...(source.judged ? { target: { value: engineMs, atMost: MAX_ENGINE_MS, unit: " ms" } } : {}),
      });
    }
    apart.push({
      name: operation,
      cells: judgedMs,
      target: { value: timesApart(judgedMs), atMost: MAX_APART },
    });
  }
  const sections: Section[] = [
    {
      title: `Copies on a pool with reflinks (${how})`,
      columns: ["extents", "server p50 ms", "server p99", "client p50 ms", "client p99"],
      rows,
      notes: [
        "Server: the RPC's time in the server's own metrics, which is the engine's and a little more.",
        "A reflink copies the extent map: the sources without a target show the cost of an extent.",
      ],
    },
    {
      title: "The same time, whatever the size: longer median over shorter",
      columns: prepared.filter(({ source }) => source.judged).map(({ source }) => `${source.name}, ms`),
      rows: apart,
      notes: [],
    },
  ];
  return { benchmark: "copies", sections, measurements };
}
