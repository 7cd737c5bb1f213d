import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pino from "pino";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Collector } from "../../src/engines/local/objects/bodies/collector.js";
import { generationPath } from "../../src/engines/local/objects/bodies/generation-folders.js";
import { scrubObjects } from "../../src/engines/local/objects/bodies/scrub.js";
import { sweepGeneration } from "../../src/engines/local/objects/bodies/sweep.js";
import type { BodyId, ScrubItem, StoredBody } from "../../src/engines/local/objects/bodies/types.js";
import type { ScrubProgress } from "../../src/engines/object-engine.js";
import { endWorld, makeWorld, pattern, type World } from "./bodies-world.js";

const log = pino({ level: "silent" });
const SETTLED_MS = 20_000;

let world: World;
beforeEach(async () => {
  world = await makeWorld();
});
afterEach(() => endWorld(world));

/** Metadata's side of the garbage: what is there, and what was forgotten. */
function makeGarbage(bodies: readonly StoredBody[], open: ReadonlySet<number>) {
  const there = new Set(bodies.map(({ bodyId }) => bodyId));
  const filesAtForget: number[] = [];
  return {
    there,
    filesAtForget,
    take: async (limit: number, after: BodyId): Promise<BodyId[]> =>
      [...there]
        .filter((bodyId) => bodyId > after)
        .sort((a, b) => a - b)
        .slice(0, limit),
    async forget(ids: readonly BodyId[]) {
      filesAtForget.push(world.files().length);
      for (const id of ids) there.delete(id);
    },
    isOpen: (generation: number) => open.has(generation),
  };
}

async function putMany(count: number): Promise<StoredBody[]> {
  return Promise.all(Array.from({ length: count }, () => world.put(pattern(10))));
}

describe("the collector", () => {
  it("garbage: files go first, then their records, and what is no garbage stays", async () => {
    const bodies = await putMany(30);
    const garbage = makeGarbage(bodies.slice(0, 20), world.open);
    let collected = 0;
    const onCollected = (count: number) => {
      collected += count;
    };
    const collector = new Collector({ dir: world.dir, garbage, log, onCollected });
    collector.kick();
    await collector.settled();
    expect(garbage.there.size).toBe(0);
    expect(garbage.filesAtForget).toEqual([10]);
    expect(collected).toBe(20);
    expect(world.files().length).toBe(10);
    await collector.close();
  });

  it("more than a batch, some of it gone already, kicked many times: all goes, once", async () => {
    const bodies = await putMany(1100);
    rmSync(world.pathOf(bodies[5] as StoredBody));
    const garbage = makeGarbage(bodies, world.open);
    const collector = new Collector({ dir: world.dir, garbage, log });
    for (let i = 0; i < 5; i++) collector.kick();
    await collector.settled();
    expect(garbage.there.size).toBe(0);
    expect(garbage.filesAtForget.length).toBe(3);
    expect(world.files()).toEqual([]);
  });

  it("the last body of a generation: an open one keeps its folder, a sealed one loses it", async () => {
    const [body] = (await putMany(1)) as [StoredBody];
    const folder = generationPath(world.dir, 1);
    const collector = new Collector({ dir: world.dir, garbage: makeGarbage([body], new Set([1])), log });
    collector.kick();
    await collector.settled();
    expect(existsSync(folder)).toBe(true);
    const later = new Collector({ dir: world.dir, garbage: makeGarbage([body], new Set()), log });
    later.kick();
    await later.settled();
    expect(existsSync(folder)).toBe(false);
  });

  it("metadata fails to forget: told as a failure, tried again at the next kick", async () => {
    const bodies = await putMany(3);
    const garbage = makeGarbage(bodies, world.open);
    let failures = 1;
    const forget = async (ids: readonly BodyId[]) => {
      if (failures-- > 0) throw new Error("no space for a commit");
      await garbage.forget(ids);
    };
    const collector = new Collector({ dir: world.dir, garbage: { ...garbage, forget }, log });
    collector.kick();
    await collector.settled();
    expect(garbage.there.size).toBe(3);
    collector.kick();
    await collector.settled();
    expect(garbage.there.size).toBe(0);
    await collector.close();
  });
});

describe("a file that cannot be removed", () => {
  /** What unlink() fails on, as it does with EIO: a folder lies where the file should. */
  function block(bodies: readonly StoredBody[]): void {
    for (const body of bodies) {
      rmSync(world.pathOf(body), { force: true });
      mkdirSync(world.pathOf(body));
    }
  }

  async function pass(collector: Collector): Promise<void> {
    collector.kick();
    await collector.settled();
  }

  it("the others go, of its batch and of those behind it; it is told of, counted, and goes when it can", async () => {
    const bodies = await putMany(1100);
    const bad = [bodies[0], bodies[700]] as StoredBody[];
    block(bad);
    const garbage = makeGarbage(bodies, world.open);
    const told: string[] = [];
    const log = pino({ level: "warn" }, { write: (line) => told.push(line) });
    const collector = new Collector({ dir: world.dir, garbage, log, retryMs: 1 });
    await pass(collector);
    expect([...garbage.there].sort()).toEqual(bad.map(({ bodyId }) => bodyId).sort());
    expect(collector.stuck).toBe(2);
    expect(world.files()).toEqual([]);
    expect(told.map((line) => (JSON.parse(line) as { first: string }).first)).toEqual(
      bad.map((body) => world.pathOf(body)),
    );
    for (const body of bad) rmSync(world.pathOf(body), { recursive: true });
    await vi.waitFor(async () => {
      await pass(collector);
      expect(garbage.there.size).toBe(0);
    }, SETTLED_MS);
    expect(collector.stuck).toBe(0);
    await collector.close();
  });

  it("it is not tried again at once", async () => {
    const bodies = await putMany(3);
    block(bodies.slice(0, 1));
    const told: string[] = [];
    const log = pino({ level: "warn" }, { write: (line) => told.push(line) });
    const collector = new Collector({ dir: world.dir, garbage: makeGarbage(bodies, world.open), log });
    for (let i = 0; i < 5; i++) await pass(collector);
    expect(told).toHaveLength(1);
    await collector.close();
  });

  it("a great many of them: so many are remembered, and all go when they can", async () => {
    const bodies = await putMany(2600);
    block(bodies);
    const garbage = makeGarbage(bodies, world.open);
    const collector = new Collector({ dir: world.dir, garbage, log, retryMs: 1 });
    for (let i = 0; i < 3; i++) await pass(collector);
    expect(collector.stuck).toBe(2048);
    for (const body of bodies) rmSync(world.pathOf(body), { recursive: true });
    await vi.waitFor(async () => {
      await pass(collector);
      expect(garbage.there.size).toBe(0);
    }, SETTLED_MS);
    expect(collector.stuck).toBe(0);
    await collector.close();
  });
});

describe("the sweep", () => {
  it("files without a record go, whatever their name; those with one stay", async () => {
    const bodies = await putMany(20);
    const known = new Set(bodies.slice(0, 12).map(({ bodyId }) => bodyId));
    writeFileSync(join(generationPath(world.dir, 1), "stray"), "x");
    const records = { has: (bodyId: BodyId) => known.has(bodyId) };
    expect(await sweepGeneration(world.dir, 1, records)).toEqual({ kept: 12, removed: 9 });
    expect(world.files().length).toBe(12);
    expect(await sweepGeneration(world.dir, 1, records)).toEqual({ kept: 12, removed: 0 });
    expect((await world.get(bodies[3] as StoredBody)).length).toBe(10);
  });

  it("nothing is known of a generation's bodies: its folder goes too", async () => {
    await putMany(3);
    expect(await sweepGeneration(world.dir, 1, { has: () => false })).toEqual({ kept: 0, removed: 3 });
    expect(existsSync(generationPath(world.dir, 1))).toBe(false);
  });

  it("a lease whose folder was never made: nothing to do", async () => {
    expect(await sweepGeneration(world.dir, 77, { has: () => false })).toEqual({ kept: 0, removed: 0 });
  });

  it("a folder where a body would be: the other files go, the sweep fails, and the generation stays open", async () => {
    await putMany(30);
    mkdirSync(join(generationPath(world.dir, 1), "fff"));
    await expect(sweepGeneration(world.dir, 1, { has: () => false })).rejects.toThrow(/sweeping generation 1/);
    expect(world.files()).toEqual([]);
  });
});

describe("scrub", () => {
  function item(key: string, bodies: readonly StoredBody[], more: Partial<ScrubItem> = {}): ScrubItem {
    const sizeBytes = bodies.reduce((sum, body) => sum + body.sizeBytes, 0);
    const whole = { inline: () => undefined, current: () => true, close: () => closed.push(key) };
    return { bucket: "b", key, versionId: "null", sizeBytes, bodies, ...whole, ...more };
  }

  const closed: string[] = [];
  let counted = 0;
  beforeEach(() => {
    closed.length = 0;
  });

  async function scrub(items: readonly ScrubItem[], more: { bytesPerSecond?: number; signal?: AbortSignal } = {}) {
    const { signal = new AbortController().signal, ...rest } = more;
    const seen: ScrubProgress[] = [];
    counted = 0;
    const onDamaged = () => {
      counted++;
    };
    const options = { onDamaged, bodies: world.store, dir: world.dir, signal, ...rest };
    for await (const progress of scrubObjects({ totalObjects: items.length, items: () => items }, options))
      seen.push(progress);
    return seen;
  }

  it("all is right: every byte was looked at, and the last progress says done", async () => {
    const a = await world.put(pattern(1_000_000));
    const b = await world.put(pattern(10));
    const seen = await scrub([item("one", [a, b]), item("small", [], { sizeBytes: 7 })]);
    expect(seen.at(0)).toEqual({ objects: 0, bytes: 0, totalObjects: 2, damaged: [], done: false });
    expect(seen.at(-1)).toEqual({ objects: 2, bytes: 1_000_017, totalObjects: 2, damaged: [], done: true });
    expect(closed).toEqual(["one", "small"]);
  });

  it("a flipped byte, a missing file, bytes behind the end, a damaged inline body: each is found by name", async () => {
    const bodies = await putMany(4);
    const [right, flipped, missing, longer] = bodies as [StoredBody, StoredBody, StoredBody, StoredBody];
    const file = readFileSync(world.pathOf(flipped));
    file[70] = (file[70] as number) ^ 4;
    writeFileSync(world.pathOf(flipped), file);
    rmSync(world.pathOf(missing));
    appendFileSync(world.pathOf(longer), "!");
    const seen = await scrub([
      item("right", [right]),
      item("flipped", [right, flipped]),
      item("missing", [missing]),
      item("longer", [longer]),
      item("inline", [], { inline: () => "its bytes are others" }),
    ]);
    const last = seen.at(-1);
    expect(last?.objects).toBe(5);
    expect(last?.damaged.map(({ key, problem }) => `${key}: ${problem}`)).toEqual([
      `flipped: body ${flipped.bodyId} is damaged: chunk 0 is not what was written`,
      `missing: body ${missing.bodyId} is damaged: its file is missing`,
      `longer: body ${longer.bodyId} is damaged: its file has 91 bytes, not 90`,
      "inline: its bytes are others",
    ]);
    expect(closed.length).toBe(5);
    expect(counted).toBe(4);
  });

  it("a body that went because its version was deleted meanwhile: no finding", async () => {
    const [body] = (await putMany(1)) as [StoredBody];
    rmSync(world.pathOf(body));
    const seen = await scrub([item("gone", [body], { current: () => false })]);
    expect(seen.at(-1)?.damaged).toEqual([]);
    expect(counted).toBe(0);
  });

  it("a great many small objects: others have their turn meanwhile", async () => {
    const items = Array.from({ length: 100_000 }, (_, i) => item(`small-${i}`, [], { sizeBytes: 1 }));
    let turns = 0;
    const ticking = setInterval(() => turns++, 1);
    expect((await scrub(items)).at(-1)?.objects).toBe(items.length);
    clearInterval(ticking);
    expect(turns).toBeGreaterThan(0);
  });

  it("stopped by its signal, also while its rate makes it wait: cancelled, and nothing is held", async () => {
    const body = await world.put(pattern(3_000_000));
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 20);
    await expect(scrub([item("big", [body])], { bytesPerSecond: 1, signal: abort.signal })).rejects.toMatchObject({
      code: "cancelled",
    });
    expect(closed).toEqual(["big"]);
    expect(world.pool.taken).toBe(0);
  });
});
