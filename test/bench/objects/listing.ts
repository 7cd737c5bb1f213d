import type { Report, Row, Section } from "../report.js";
import { median, rotated } from "../statistics.js";
import { COLUMN_NOTES, COLUMNS, cellsOf, measurementsOf, type Rounds, rowsOf } from "./comparison.js";
import type { Contender } from "./contenders.js";
import { benchCost } from "./cost.js";
import { fillBucket } from "./fill.js";
import { BIG_FOLDER } from "./load-job.js";
import { type Job, type Measurement, measureLoad } from "./measured-load.js";
import type { ObjectServer } from "./object-server.js";
import { type ObjectRun, withServers } from "./run.js";

const PAGE_KEYS = 1000;
/** A bucket of objects that are not empty: an engine may keep small bodies beside the keys, and has to step over them. */
const OBJECT_BYTES = 4096;
const MIN_RATIO_TO_MINIO = 10;
const MAX_RATIO_OF_SIZES = 1.5;

type BucketName = "small" | "full";
const BUCKETS: readonly BucketName[] = ["small", "full"];

interface Kind {
  name: string;
  title: string;
  job(keys: number): { prefix: string; delimiter: string; startAfter: readonly string[]; pagesPerWalk: number };
}

/** Each of their pages has exactly 1,000 entries, whatever the bucket's size: Layout `listing` sees to it. */
const KINDS: readonly Kind[] = [
  {
    name: "walk",
    title: "no delimiter, page after page",
    // Up to the last full page: after it some servers answer an empty one, and some do not.
    job: (keys) => ({
      prefix: "",
      delimiter: "",
      startAfter: [""],
      pagesPerWalk: Math.min(100, Math.floor(keys / PAGE_KEYS)),
    }),
  },
  {
    name: "jump",
    title: "no delimiter, start-after anywhere",
    job: (keys) => ({ prefix: "", delimiter: "", startAfter: startsIn(keys), pagesPerWalk: 1 }),
  },
  {
    name: "root",
    title: "delimiter, 1,000 common prefixes",
    job: () => ({ prefix: "", delimiter: "/", startAfter: [""], pagesPerWalk: 1 }),
  },
  {
    name: "folder",
    title: "delimiter, a folder's 1,000 keys",
    job: () => ({ prefix: BIG_FOLDER, delimiter: "/", startAfter: [""], pagesPerWalk: 1 }),
  },
];

/** Folders, scattered, that a whole page of keys comes after. */
function startsIn(keys: number): string[] {
  const inFolders = keys - PAGE_KEYS;
  const last = Math.floor(999 * (1 - (PAGE_KEYS + 999) / inFolders));
  // 619 has no divisor in common with any number below it: every folder comes before one comes twice.
  return Array.from({ length: 500 }, (_, i) => `f${String((i * 619) % Math.max(1, last)).padStart(4, "0")}/`);
}

const keysOf = (run: ObjectRun, contender: Contender, bucket: BucketName): number => {
  const full = contender.name === "granary" ? run.listing.keys : run.listing.peerKeys;
  return bucket === "full" ? full : Math.min(full, run.quick ? 4000 : 10_000);
};

/** Pages of 1,000 in a small and in a large bucket; what a server of so many objects costs, and how soon it is up. */
export async function benchListing(run: ObjectRun): Promise<Report> {
  const contenders = run.contenders.filter(({ name }) => name !== "minio-sync");
  const found = new Map<string, Measurement[]>();
  const fills: Rounds[] = [];
  const cost = await withServers(run, contenders, async (servers) => {
    const filled: ObjectServer[] = [];
    for (const server of servers) {
      try {
        for (const bucket of BUCKETS) {
          const rounds = await fillBucket(run, server, bucket, keysOf(run, server.contender, bucket), OBJECT_BYTES);
          if (bucket === "full") fills.push({ contender: server.contender, rounds });
        }
        filled.push(server);
      } catch (error) {
        run.signal.throwIfAborted();
        run.problem(server.contender, String(error));
      }
    }
    for (let round = 0; round <= run.rounds; round++) {
      run.progress(`listing: ${round === 0 ? "warm-up" : `round ${round} of ${run.rounds}`}`);
      const measured = await oneRound(run, rotated(filled, round));
      if (round === 0) continue;
      for (const [key, measurement] of measured) found.set(key, [...(found.get(key) ?? []), measurement]);
    }
    return benchCost(run, filled, (contender) => keysOf(run, contender, "full"), OBJECT_BYTES);
  });
  return reportOf(run, contenders, found, fills, cost);
}

async function oneRound(run: ObjectRun, servers: readonly ObjectServer[]): Promise<Map<string, Measurement>> {
  const measured = new Map<string, Measurement>();
  for (const kind of KINDS) {
    for (const bucket of BUCKETS) {
      for (const server of servers) {
        const job: Job = {
          ...kind.job(keysOf(run, server.contender, bucket)),
          operation: "LIST",
          bucket,
          clients: 1,
          maxSeconds: run.quick ? 2 : 4,
          maxPages: run.quick ? 10 : 200,
          pageKeys: PAGE_KEYS,
          expectEntries: PAGE_KEYS,
        };
        measured.set(`${kind.name} ${bucket} ${server.contender.name}`, await measureLoad(run, server, job));
      }
    }
  }
  return measured;
}

const count = (keys: number) => keys.toLocaleString("en-US");

function reportOf(
  run: ObjectRun,
  contenders: readonly Contender[],
  found: ReadonlyMap<string, Measurement[]>,
  fills: readonly Rounds[],
  cost: { sections: readonly Section[]; measurements: Report["measurements"] },
): Report {
  const roundsOf = (kind: Kind, bucket: BucketName, contender: Contender): Rounds => ({
    contender,
    rounds: found.get(`${kind.name} ${bucket} ${contender.name}`) ?? [],
  });
  const measurements: Record<string, readonly number[]> = { ...cost.measurements };
  const pages: Row[] = [];
  for (const kind of KINDS) {
    const minio = contenders.find(({ name }) => name === "minio");
    for (const bucket of BUCKETS) {
      const all = contenders.map((contender) => roundsOf(kind, bucket, contender));
      // The small bucket is there for the comparison of sizes alone.
      const factor = bucket === "full" ? MIN_RATIO_TO_MINIO : undefined;
      for (const one of all) {
        const what = `${kind.title}, ${count(keysOf(run, one.contender, bucket))} keys`;
        pages.push(...rowsOf(what, [one], minio && roundsOf(kind, bucket, minio), factor));
      }
      Object.assign(measurements, measurementsOf(`list ${kind.name} ${bucket}`, all));
    }
  }
  const sections: Section[] = [
    {
      title: "ListObjectsV2, pages of 1,000, one client",
      columns: ["pages/s", ...COLUMNS.slice(1)],
      rows: pages,
      notes: [...COLUMN_NOTES, ...listingNotes(run)],
    },
    sizesSection(run, contenders, roundsOf),
    fillSection(fills),
    ...cost.sections,
  ];
  return { benchmark: "listing", measurements, sections };
}

function listingNotes(run: ObjectRun): string[] {
  const { keys, peerKeys } = run.listing;
  return [
    "A second of pages/s is one that the client waited: what it does with a page is not in it.",
    `The target is the ratio to MinIO's pages/s. Objects of ${count(OBJECT_BYTES)} bytes, in 1,000 folders.`,
    ...(keys === peerKeys
      ? []
      : [
          `The peers' large bucket has ${count(peerKeys)} keys, not ${count(keys)}: filling it takes them too long. That ` +
            "favours them: in a larger bucket a page takes no less time.",
        ]),
  ];
}

/** A page's time in the large bucket against the small one. */
function sizesSection(
  run: ObjectRun,
  contenders: readonly Contender[],
  roundsOf: (kind: Kind, bucket: BucketName, contender: Contender) => Rounds,
): Section {
  const p50 = ({ rounds }: Rounds) => median(rounds.map((round) => round.p50Ms));
  const rows = KINDS.flatMap((kind) =>
    contenders.flatMap((contender): Row[] => {
      const [small, full] = [roundsOf(kind, "small", contender), roundsOf(kind, "full", contender)];
      if (small.rounds.length === 0 || full.rounds.length === 0) return [];
      const ratio = p50(full) / p50(small);
      const sizes = `${count(keysOf(run, contender, "small"))} and ${count(keysOf(run, contender, "full"))} keys`;
      const row: Row = {
        name: `${kind.title}: ${contender.title}`,
        cells: [sizes, p50(small), p50(full), ratio.toFixed(3)],
      };
      return [contender.name === "granary" ? { ...row, target: { value: ratio, atMost: MAX_RATIO_OF_SIZES } } : row];
    }),
  );
  return {
    title: "A page's time and the bucket's size",
    columns: ["buckets of", "p50 ms, small", "p50 ms, large", "large to small"],
    rows,
    notes: ["1 is a page whose time does not depend on the bucket's size."],
  };
}

/** How the first and the last objects went into the large bucket. */
function fillSection(fills: readonly Rounds[]): Section {
  const rows = fills.flatMap(({ contender, rounds }): Row[] => {
    const [first, last] = [rounds.slice(0, 1), rounds.slice(-1)];
    const row = (part: string, of: readonly Measurement[]): Row => ({
      name: `${contender.title}, ${part} ${count(of[0]?.operations ?? 0)}`,
      cells: cellsOf(of),
    });
    return rounds.length === 0 ? [] : [row("the first", first), ...(rounds.length > 1 ? [row("the last", last)] : [])];
  });
  return { title: "PUT of 4 KiB into the large bucket, 64 clients, once", columns: COLUMNS, rows, notes: [] };
}
