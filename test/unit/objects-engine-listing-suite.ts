import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ListItem, ListPage } from "../../src/engines/object-engine.js";
import { ATTRIBUTES, ctx, makeBucket, put, remove, type SuiteWorld } from "./objects-engine-world.js";

/** UTF-16 orders the first two the other way round; NUL and its neighbour are escaped where more follows a key. */
const ODD_KEYS = [
  "\u{1f600}",
  "\uffff",
  "\ue000/x",
  "\0",
  "\0\0",
  "\0\u0001",
  "\u0001",
  "\u0001\0",
  "\u0001/a",
  "a",
  "a\0",
  "a\0b",
  "a\u0001",
  "a/",
  "a//",
  "a//b",
  "a/b",
  "a/b/c",
  "a/b/d",
  "a/\u{1f600}",
  "a/\u{1f600}/z",
  "a0",
  "aa",
  "a--b--c",
  "a--b-c",
  "/",
  "//",
  "/a",
  ".",
  "..",
  "../a",
  "%",
  "%2F",
  "+",
  " ",
  "ä",
  "ä/ö",
  "\u007f",
  "\r\n",
  "z".repeat(1024),
  `${"\0".repeat(900)}end`,
];

const compare = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
const ALL_KEYS = [...ODD_KEYS].sort(compare);

const words = fc.oneof(
  fc.constantFrom("", ...ODD_KEYS),
  fc.constantFrom(...ODD_KEYS).chain((key) => fc.nat(key.length).map((length) => wellFormed(key.slice(0, length)))),
  fc.string({ unit: "grapheme", maxLength: 4 }),
);
const delimiters = fc.oneof(fc.constantFrom("", "/", "//", "--", "-", "\0", "\u0001", "\u{1f600}", "b", "a/"), words);
const limits = fc.oneof(fc.integer({ min: 1, max: 5 }), fc.constantFrom(7, 1000));

/** Half of a surrogate pair is no text that a request can hold. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString() === text ? text : text.slice(0, -1);
}

const groupOf = (key: string, prefix: string, delimiter: string): string | undefined => {
  const at = delimiter === "" ? -1 : key.indexOf(delimiter, prefix.length);
  return at === -1 ? undefined : key.slice(0, at + delimiter.length);
};

/** By the letter: what begins with the prefix, rolled up, each once, behind the marker. */
function expected(keys: readonly string[], prefix: string, delimiter: string, marker: string): string[] {
  const items = keys
    .filter((key) => key.startsWith(prefix))
    .map((key) => {
      const group = groupOf(key, prefix, delimiter);
      return group === undefined ? key : `PRE ${group}`;
    });
  return [...new Set(items)].filter((item) => compare(item.replace(/^PRE /, ""), marker) > 0);
}

function named<T>(items: readonly ListItem<T>[], name: (entry: T) => string): string[] {
  return items.map((item) => ("prefix" in item ? `PRE ${item.prefix}` : name(item.entry)));
}

function expectPage<T>(page: ListPage<T>, name: (entry: T) => string, all: readonly string[], limit: number): void {
  expect(named(page.items, name)).toEqual(all.slice(0, limit));
  expect(page.truncated).toBe(all.length > limit);
}

export function listingSuite(makeWorld: () => Promise<SuiteWorld>): void {
  let world: SuiteWorld;
  let KEYS: readonly string[];
  let objects: string;
  let versions: string;
  let uploads: string;
  /** Of every key in `versions`: its ids, the newest first. */
  const idsOf = new Map<string, string[]>();
  const uploadsOf = new Map<string, string[]>();

  beforeAll(async () => {
    world = await makeWorld();
    KEYS = ALL_KEYS.filter(world.takesKey);
    const { engine } = world;
    // Neighbours on both sides, whose keys must never show.
    for (const name of ["aaa", "zzz"]) await put(engine, await makeBucket(engine, { name }), "a/b");
    objects = await makeBucket(engine);
    versions = await makeBucket(engine);
    uploads = await makeBucket(engine);
    await put(engine, await makeBucket(engine), "a/b");
    for (const [i, key] of KEYS.entries()) {
      await put(engine, objects, key, "x");
      if (i % 3 === 0) await put(engine, versions, key, "null version");
    }
    await engine.changeBucket(ctx, versions, { versioning: "enabled" });
    for (const [i, key] of KEYS.entries()) {
      if (i % 3 !== 0 || i % 2 === 0) await put(engine, versions, key, "second");
      if (i % 4 === 0) await remove(engine, versions, key);
      const upload = { bucket: uploads, key, initiatorId: "alice", attributes: ATTRIBUTES, checksumAlgorithm: null };
      const ids: string[] = [];
      for (let n = 0; n <= i % 3; n++)
        ids.push((await engine.createUpload(ctx, { ...upload, checksumType: "FULL_OBJECT" })).uploadId);
      uploadsOf.set(key, ids);
    }
    const all = { bucket: versions, prefix: "", delimiter: "", keyMarker: "", versionIdMarker: "", limit: 1000 };
    for (const item of (await engine.listVersions(ctx, all)).items)
      if ("entry" in item) idsOf.set(item.entry.key, [...(idsOf.get(item.entry.key) ?? []), item.entry.versionId]);
  });

  afterAll(() => world.close());

  describe("list", () => {
    it("any prefix, delimiter, marker and limit: what a listing by the letter has", async () => {
      await fc.assert(
        fc.asyncProperty(words, delimiters, words, limits, async (prefix, delimiter, after, limit) => {
          const page = await world.engine.list(ctx, { bucket: objects, prefix, delimiter, after, limit });
          expectPage(page, ({ key }) => key, expected(KEYS, prefix, delimiter, after), limit);
        }),
        { numRuns: world.runs },
      );
    });

    it("page after page: every key and common prefix once, in the order of UTF-8", async () => {
      for (const delimiter of ["", "/", "\0", "--"]) {
        const found: string[] = [];
        for (let after = "", truncated = true; truncated; ) {
          const page = await world.engine.list(ctx, { bucket: objects, prefix: "", delimiter, after, limit: 2 });
          found.push(...named(page.items, ({ key }) => key));
          truncated = page.truncated;
          after = (found.at(-1) ?? "").replace(/^PRE /, "");
        }
        expect(found).toEqual(expected(KEYS, "", delimiter, ""));
      }
    });
  });

  describe("listVersions", () => {
    const lines = (key: string) => (idsOf.get(key) ?? []).map((id) => `${key} ${id}`);
    const name = ({ key, versionId }: { key: string; versionId: string }) => `${key} ${versionId}`;

    function expectedVersions(prefix: string, delimiter: string, keyMarker: string, versionIdMarker: string): string[] {
      const behind = expected(KEYS, prefix, delimiter, keyMarker).flatMap((item) =>
        item.startsWith("PRE ") ? [item] : lines(item),
      );
      const resumes = versionIdMarker !== "" && keyMarker.startsWith(prefix) && !groupOf(keyMarker, prefix, delimiter);
      const ids = idsOf.get(keyMarker) ?? [];
      const rest = resumes ? ids.slice(ids.indexOf(versionIdMarker) + 1) : [];
      return [...rest.map((id) => `${keyMarker} ${id}`), ...behind];
    }

    it("has made keys of every kind", () => {
      expect([...idsOf.keys()]).toEqual(KEYS);
      expect(new Set([...idsOf.values()].map(({ length }) => length))).toEqual(new Set([1, 2, 3]));
    });

    it("any prefix, delimiter, markers and limit: what a listing by the letter has", async () => {
      const versionMarkers = fc
        .constantFrom(...KEYS)
        .chain((key) => fc.constantFrom(...(idsOf.get(key) ?? [])).map((id) => ({ key, id })));
      const markers = fc.oneof(
        words.map((key) => ({ key, id: "" })),
        versionMarkers,
      );
      await fc.assert(
        fc.asyncProperty(words, delimiters, markers, limits, async (prefix, delimiter, marker, limit) => {
          const request = {
            bucket: versions,
            prefix,
            delimiter,
            keyMarker: marker.key,
            versionIdMarker: marker.id,
            limit,
          };
          const page = await world.engine.listVersions(ctx, request);
          expectPage(page, name, expectedVersions(prefix, delimiter, marker.key, marker.id), limit);
        }),
        { numRuns: world.runs },
      );
    });

    it("of every key one version is the latest, the first", async () => {
      const all = { bucket: versions, prefix: "", delimiter: "", keyMarker: "", versionIdMarker: "", limit: 1000 };
      const latest = new Map<string, string[]>();
      for (const item of (await world.engine.listVersions(ctx, all)).items)
        if ("entry" in item && item.entry.isLatest)
          latest.set(item.entry.key, [...(latest.get(item.entry.key) ?? []), item.entry.versionId]);
      expect([...latest]).toEqual([...idsOf].map(([key, ids]) => [key, ids.slice(0, 1)]));
    });

    it("markers that are no version of the key: its older versions, as far as the engine knows them, or none", async () => {
      const { engine } = world;
      const page = async (keyMarker: string, versionIdMarker: string) => {
        const request = { bucket: versions, prefix: "a/b", delimiter: "", limit: 10, keyMarker, versionIdMarker };
        return named((await engine.listVersions(ctx, request)).items, name);
      };
      const behind = expectedVersions("a/b", "", "a/b", "");
      expect(await page("a/b", world.markerBefore())).toEqual([...lines("a/b"), ...behind]);
      for (const none of world.markersBehind) expect(await page("a/b", none)).toEqual(behind);
    });

    it("what a page named is removed before the next is asked for: nothing is skipped", async () => {
      const { engine } = world;
      const bucket = await makeBucket(engine, { versioning: "suspended" });
      for (const key of ["k", "l"]) await put(engine, bucket, key, "null");
      await engine.changeBucket(ctx, bucket, { versioning: "enabled" });
      for (const key of ["k", "l"]) for (let i = 0; i < 5; i++) await put(engine, bucket, key, String(i));
      let markers = { keyMarker: "", versionIdMarker: "" };
      for (let pages = 0, truncated = true; truncated; pages++) {
        expect(pages).toBeLessThan(13);
        const request = { bucket, prefix: "", delimiter: "", limit: 1, ...markers };
        const page = await engine.listVersions(ctx, request);
        truncated = page.truncated;
        for (const item of page.items) {
          if (!("entry" in item)) continue;
          const { key, versionId } = item.entry;
          markers = { keyMarker: key, versionIdMarker: versionId };
          await remove(engine, bucket, key, { versionId });
        }
      }
      await engine.deleteBucket(ctx, bucket);
    });
  });

  describe("listUploads", () => {
    const name = ({ key, uploadId }: { key: string; uploadId: string }) => `${key} ${uploadId}`;

    it("any prefix, delimiter, markers and limit: what a listing by the letter has", async () => {
      const uploadMarkers = fc
        .constantFrom(...KEYS)
        .chain((key) => fc.constantFrom(...(uploadsOf.get(key) ?? [])).map((id) => ({ key, id })));
      const markers = fc.oneof(
        words.map((key) => ({ key, id: "" })),
        uploadMarkers,
      );
      await fc.assert(
        fc.asyncProperty(words, delimiters, markers, limits, async (prefix, delimiter, { key, id }, limit) => {
          const request = { bucket: uploads, prefix, delimiter, keyMarker: key, uploadIdMarker: id, limit };
          const page = await world.engine.listUploads(ctx, request);
          const resumes = id !== "" && key.startsWith(prefix) && !groupOf(key, prefix, delimiter);
          const ids = uploadsOf.get(key) ?? [];
          const rest = resumes ? ids.slice(ids.indexOf(id) + 1).map((rested) => `${key} ${rested}`) : [];
          const behind = expected(KEYS, prefix, delimiter, key).flatMap((item) =>
            item.startsWith("PRE ") ? [item] : (uploadsOf.get(item) ?? []).map((upload) => `${item} ${upload}`),
          );
          expectPage(page, name, [...rest, ...behind], limit);
        }),
        { numRuns: world.runs },
      );
    });
  });
}
