import { readFileSync } from "node:fs";
import type { CsiResponse } from "../../src/runtime/csi-client.js";
import { bytes } from "../root/csi-requests.js";
import type { Report, Row } from "./report.js";
import { median, percentile } from "./statistics.js";
import { type Run, timed, type World, withWorld } from "./world.js";

const [MIB, GIB] = [1024 ** 2, 1024 ** 3];
const PAGE_ENTRIES = 100;
const MAX_SLOWDOWN = 2;
const MAX_RESTART_MS = 2000;
const MAX_RESIDENT_MIB = 200;

interface Walk {
  pagesMs: number[];
  entries: number;
}

/** Many volumes: what one more costs, reading them all, a restart among them, and memory. */
export async function benchScale(run: Run): Promise<Report> {
  const volumes = run.quick ? 100 : 1000;
  // The first and the last of them are compared.
  const edge = run.quick ? 30 : 100;
  return withWorld(64 * GIB, async (world) => {
    const residentAtStart = residentMib(world);
    await warmUp(run, world);
    const createMs: number[] = [];
    for (let i = 0; i < volumes; i++) {
      run.signal.throwIfAborted();
      if (i % 100 === 0) run.progress(`scale: volume ${i} of ${volumes}`);
      createMs.push((await timed(() => world.calls.create(`scale-${i}`, { capacity_range: bytes(GIB) }))).ms);
    }
    run.progress("scale: lists");
    const walks: Walk[] = [];
    for (let i = 0; i < 5; i++) walks.push(await walk(world));
    if (walks.some(({ entries }) => entries !== volumes)) throw new Error("ListVolumes did not list every volume");
    const whole = await timed(() => world.server.client.call("Controller", "ListVolumes", {}));
    const residentAfter = residentMib(world);
    const restarts: { stopMs: number; readyMs: number }[] = [];
    for (let i = 0; i < (run.quick ? 1 : 5); i++) {
      run.progress(`scale: restart ${i + 1}`);
      restarts.push(await restart(world));
    }
    const listed = await walk(world);
    if (listed.entries !== volumes) throw new Error("a restart lost volumes");
    const resident = { start: residentAtStart, after: residentAfter, restarted: residentMib(world) };
    return reportOf({ volumes, edge, createMs, walks, wholeMs: whole.ms, restarts, resident });
  });
}

/** The first volumes must not be slow for the server's cold code: that would excuse the last ones. */
async function warmUp(run: Run, { calls }: World): Promise<void> {
  for (let i = 0; i < (run.quick ? 10 : 100); i++) {
    run.signal.throwIfAborted();
    await calls.remove((await calls.create(`warm-${i}`, { capacity_range: bytes(GIB) })).volume_id);
  }
}

async function walk({ server }: World): Promise<Walk> {
  const found: Walk = { pagesMs: [], entries: 0 };
  let token = "";
  do {
    const request = { max_entries: PAGE_ENTRIES, starting_token: token };
    const page: { ms: number; answer: CsiResponse<"Controller", "ListVolumes"> } = await timed(() =>
      server.client.call("Controller", "ListVolumes", request),
    );
    found.pagesMs.push(page.ms);
    found.entries += page.answer.entries?.length ?? 0;
    token = page.answer.next_token ?? "";
  } while (token !== "");
  return found;
}

/** From SIGTERM to the end, and from the new start until Probe answers ready. */
async function restart(world: World): Promise<{ stopMs: number; readyMs: number }> {
  const stopping = await timed(() => world.server.stop());
  const starting = await timed(async () => {
    await world.restart();
    for (;;) {
      const { ready } = await world.server.client.call("Identity", "Probe", {});
      if (ready?.value) return;
    }
  });
  return { stopMs: stopping.ms, readyMs: starting.ms };
}

/** What the kernel says that the server holds in memory now. */
function residentMib({ server }: World): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${server.pid}/status`, "utf8"))?.[1];
  if (kib === undefined) throw new Error(`/proc/${server.pid}/status has no VmRSS`);
  return (Number(kib) * 1024) / MIB;
}

interface Measured {
  volumes: number;
  edge: number;
  createMs: readonly number[];
  walks: readonly Walk[];
  wholeMs: number;
  restarts: readonly { stopMs: number; readyMs: number }[];
  resident: { start: number; after: number; restarted: number };
}

function reportOf({ volumes, edge, createMs, walks, wholeMs, restarts, resident }: Measured): Report {
  const [first, last] = [createMs.slice(0, edge), createMs.slice(-edge)];
  const totalMs = restarts.map(({ stopMs, readyMs }) => stopMs + readyMs);
  const pages = (at: number) => median(walks.map(({ pagesMs }) => pagesMs.at(at) ?? 0));
  const times = (name: string, ms: readonly number[]): Row => ({
    name,
    cells: [percentile(ms, 50), percentile(ms, 99), percentile(ms, 100)],
  });
  const rows: Row[] = [
    times(`CreateVolume, the first ${edge}, ms`, first),
    {
      ...times(`CreateVolume, the last ${edge}, ms`, last),
      target: { value: percentile(last, 99) / percentile(first, 99), atMost: MAX_SLOWDOWN },
    },
    times(`CreateVolume, all ${volumes}, ms`, createMs),
  ];
  const single: Row[] = [
    { name: `ListVolumes, first page of ${PAGE_ENTRIES}`, cells: [pages(0), "ms"] },
    { name: "ListVolumes, last page", cells: [pages(-1), "ms"] },
    {
      name: `ListVolumes, all pages (${walks[0]?.pagesMs.length ?? 0})`,
      cells: [median(walks.map(({ pagesMs }) => pagesMs.reduce((sum, ms) => sum + ms, 0))), "ms"],
    },
    { name: "ListVolumes without a page size", cells: [wholeMs, "ms"] },
    { name: "SIGTERM until the end", cells: [median(restarts.map(({ stopMs }) => stopMs)), "ms"] },
    { name: "start until Probe is ready", cells: [median(restarts.map(({ readyMs }) => readyMs)), "ms"] },
    {
      name: "restart: SIGTERM until Probe is ready, the longest",
      cells: [Math.max(...totalMs), "ms"],
      target: { value: Math.max(...totalMs), atMost: MAX_RESTART_MS, unit: " ms" },
    },
    { name: "resident memory, fresh", cells: [resident.start, "MiB"] },
    {
      name: "resident memory, after all volumes and lists",
      cells: [resident.after, "MiB"],
      target: { value: resident.after, atMost: MAX_RESIDENT_MIB, unit: " MiB" },
    },
    {
      name: "resident memory, restarted and listed",
      cells: [resident.restarted, "MiB"],
      target: { value: resident.restarted, atMost: MAX_RESIDENT_MIB, unit: " MiB" },
    },
  ];
  return {
    benchmark: "scale",
    measurements: { "CreateVolume, ms": createMs, "restart, ms": totalMs },
    sections: [
      {
        title: `Creating ${volumes} volumes, one after the other`,
        columns: ["p50", "p99", "max"],
        rows,
        notes: [
          "The target is p99 of the last over p99 of the first; as many were made and removed before, to warm up.",
        ],
      },
      { title: `With ${volumes} volumes`, columns: ["value", "unit"], rows: single, notes: [] },
    ],
  };
}
