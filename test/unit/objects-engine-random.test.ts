import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MAX_KEY_BYTES, NULL_VERSION } from "../../src/model/object.js";
import { byBytes, bytesOf, type Grouped, listed, Model } from "./objects-engine-model.js";
import {
  ATTRIBUTES,
  ctx,
  digestOf,
  type EngineWorld,
  expectSound,
  get,
  linesOf,
  makeBucket,
  makeEngineWorld,
  put,
  refusalOf,
  remove,
  sourceOf,
} from "./objects-engine-world.js";

let world: EngineWorld;
beforeAll(async () => {
  // Small enough that bodies lie both in the metadata and in files.
  world = await makeEngineWorld(8);
});
afterAll(() => world.close());

// Beginnings of each other, what must be escaped, and characters whose order differs between UTF-8 and UTF-16.
const RUNS = 60;

const KEYS = [
  ...[
    "a",
    "a/",
    "a/b",
    "a/b/c",
    "a//b",
    "ab",
    "b",
    "/",
    "//",
    ".",
    "..",
    "a.",
    "a b",
    "%2F",
    "a\0",
    "a\0b",
    "\0",
    "\u0001",
  ],
  ...[
    "a\u0001",
    "a\u0002",
    "a/\0",
    "😀",
    "😀/a",
    "\uffff",
    "\uffffa",
    "\ue000",
    "é",
    "e\u0301",
    "\x7f",
    "\u0080",
    "\u{10ffff}",
  ],
  ...["x".repeat(MAX_KEY_BYTES), `a/${"é".repeat(511)}`, `${"y".repeat(1000)}/z`, `a/${"\0".repeat(800)}`],
];
const DELIMITERS = ["", "/", "/", "//", "b", "/b", "😀", "\0", "\u0001", "xx", "é"];
// Few keys for the most part, so that one key has a history.
const key = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom("a", "a/b", "a\0b", "😀/a") },
  { weight: 2, arbitrary: fc.constantFrom(...KEYS) },
);
const prefix = fc.oneof(
  fc.constant(""),
  key.chain((text) => fc.nat([...text].length).map((length) => [...text].slice(0, length).join(""))),
  fc.constantFrom("zz", "x".repeat(1100), "\0".repeat(1100)),
);
const content = fc.constantFrom("", "1", "22", "4444", "a file's bytes", "another file of more bytes");

type Command =
  | { kind: "put"; key: string; content: string; onlyNew: boolean }
  | { kind: "delete" | "versioning" | "createUpload"; key: string }
  | { kind: "deleteVersion" | "tag"; key: string; pick: number }
  | { kind: "copy" | "rename"; key: string; to: string }
  | { kind: "putPart"; pick: number; number: number; content: string }
  | { kind: "complete" | "abort"; pick: number }
  | { kind: "reopen" }
  | { kind: "list"; grouped: Grouped; marker: string; limit: number };

const kind = <K extends Command["kind"]>(name: K) => fc.constant(name);
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ kind: kind("put"), key, content, onlyNew: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ kind: kind("delete"), key }) },
  { weight: 2, arbitrary: fc.record({ kind: kind("versioning"), key }) },
  { weight: 3, arbitrary: fc.record({ kind: kind("createUpload"), key }) },
  { weight: 4, arbitrary: fc.record({ kind: kind("deleteVersion"), key, pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: kind("tag"), key, pick: fc.nat() }) },
  { weight: 3, arbitrary: fc.record({ kind: kind("copy"), key, to: key }) },
  { weight: 2, arbitrary: fc.record({ kind: kind("rename"), key, to: key }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: kind("putPart"), pick: fc.nat(), number: fc.constantFrom(1, 2, 9), content }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("complete", "abort"), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: kind("reopen") }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: kind("list"),
      grouped: fc.record({ prefix, delimiter: fc.constantFrom(...DELIMITERS) }),
      marker: fc.oneof(fc.constant(""), key, prefix),
      limit: fc.constantFrom(1, 2, 3, 1000),
    }),
  },
) as fc.Arbitrary<Command>;

/** One sequence: the engine and the model side by side. */
class Run {
  readonly #bucket: string;
  readonly #model = new Model();

  constructor(bucket: string) {
    this.#bucket = bucket;
  }

  async take(step: Command): Promise<void> {
    switch (step.kind) {
      case "put":
        return this.#put(step);
      case "copy":
      case "rename":
        return this.#moveTo(step);
      case "delete":
        return this.#delete(step.key);
      case "deleteVersion":
      case "tag":
        return this.#changeVersion(step);
      case "versioning": {
        const versioning = this.#model.versioning === "enabled" ? "suspended" : "enabled";
        await world.engine.changeBucket(ctx, this.#bucket, { versioning });
        this.#model.versioning = versioning;
        return;
      }
      case "createUpload":
        return this.#createUpload(step.key);
      case "putPart":
      case "complete":
      case "abort":
        return this.#changeUpload(step);
      case "reopen":
        return world.reopen();
      case "list":
        return this.#list(step);
    }
  }

  async #put({ key, content, onlyNew }: Extract<Command, { kind: "put" }>): Promise<void> {
    const putting = put(world.engine, this.#bucket, key, content, {
      preconditions: onlyNew ? { ifNoneMatch: "*" } : {},
    });
    if (onlyNew && this.#model.current(key)) expect(await refusalOf(putting)).toBe("precondition-failed");
    else this.#model.add(key, { id: (await putting).versionId, marker: false, content });
  }

  async #moveTo({ kind, key, to }: { kind: "copy" | "rename"; key: string; to: string }): Promise<void> {
    const { engine } = world;
    const bucket = this.#bucket;
    const from = this.#model.current(key);
    if (kind === "rename") {
      const renaming = engine.rename(ctx, { bucket, from: key, to, fromPreconditions: {}, toPreconditions: {} });
      if (key === to) expect(await refusalOf(renaming)).toBe("invalid-argument");
      else if (!from) expect(await refusalOf(renaming)).toBe("no-such-key");
      else {
        await renaming;
        this.#model.add(to, { ...from, id: (await engine.head(ctx, { bucket, key: to })).versionId });
        if (this.#model.versioning === "off") this.#model.remove(key, from.id);
        else await this.#hidden(key);
      }
    } else if (from) {
      const { versionId, generation } = await engine.head(ctx, { bucket, key });
      const source = { bucket, key, versionId, generation };
      const made = await engine.copy(ctx, { source, bucket, key: to, attributes: ATTRIBUTES, preconditions: {} });
      this.#model.add(to, { ...from, id: made.versionId });
    }
  }

  async #hidden(key: string): Promise<void> {
    const error = await world.engine.head(ctx, { bucket: this.#bucket, key }).catch((thrown: unknown) => thrown);
    const { versionId } = (error as { deleteMarker: { versionId: string } }).deleteMarker;
    this.#model.add(key, { id: versionId, marker: true, content: "" });
  }

  async #delete(key: string): Promise<void> {
    const { versionId, deleteMarker } = await remove(world.engine, this.#bucket, key);
    expect(deleteMarker).toBe(this.#model.versioning !== "off");
    if (versionId !== undefined) this.#model.add(key, { id: versionId, marker: true, content: "" });
    else this.#model.remove(key, NULL_VERSION);
  }

  async #changeVersion({
    kind,
    key,
    pick,
  }: {
    kind: "deleteVersion" | "tag";
    key: string;
    pick: number;
  }): Promise<void> {
    const all = this.#model.of(key);
    const version = all[pick % Math.max(all.length, 1)];
    const { engine } = world;
    const bucket = this.#bucket;
    if (!version) {
      expect((await remove(engine, bucket, key, { versionId: NULL_VERSION })).deleteMarker).toBe(false);
      return;
    }
    if (kind === "deleteVersion") {
      const { deleteMarker } = await remove(engine, bucket, key, { versionId: version.id });
      expect(deleteMarker).toBe(version.marker);
      this.#model.remove(key, version.id);
      return;
    }
    const tags = [["pick", `${pick}`]] as const;
    const changing = engine.changeVersion(ctx, { bucket, key, versionId: version.id }, { tags });
    if (version.marker) expect(await refusalOf(changing)).toBe("delete-marker");
    else expect((await changing).attributes.tags).toEqual(tags);
  }

  async #createUpload(key: string): Promise<void> {
    const rest = {
      initiatorId: "alice",
      attributes: ATTRIBUTES,
      checksumAlgorithm: null,
      checksumType: "COMPOSITE",
    } as const;
    const { uploadId } = await world.engine.createUpload(ctx, { bucket: this.#bucket, key, ...rest });
    this.#model.uploads.push({ key, id: uploadId, parts: new Map() });
  }

  async #changeUpload(step: Extract<Command, { pick: number }>): Promise<void> {
    const { engine } = world;
    const { uploads } = this.#model;
    const upload = uploads[step.pick % Math.max(uploads.length, 1)];
    if (!upload) return;
    const ref = { bucket: this.#bucket, key: upload.key, uploadId: upload.id };
    if (step.kind === "putPart") {
      const body = sourceOf(Buffer.from(step.content));
      await engine.putPart(ctx, { ...ref, partNumber: step.number, body });
      upload.parts.set(step.number, step.content);
      return;
    }
    if (step.kind === "abort") await engine.abortUpload(ctx, ref);
    else {
      // Small parts: the last one alone can be an object.
      const [last] = [...upload.parts].sort(([a], [b]) => b - a);
      if (!last) return;
      const [number, content] = last;
      const { md5, checksum } = digestOf(Buffer.from(content));
      const parts = [{ number, etag: md5, checksum: null }];
      const digest = () => ({ etag: `${md5}-1`, checksum });
      const made = await engine.completeUpload(ctx, { ...ref, parts, preconditions: {}, digest });
      this.#model.add(upload.key, { id: made.versionId, marker: false, content });
      expect((await engine.completeUpload(ctx, { ...ref, parts, preconditions: {}, digest })).versionId).toBe(
        made.versionId,
      );
    }
    uploads.splice(uploads.indexOf(upload), 1);
    expect(await refusalOf(engine.upload(ctx, ref))).toBe("no-such-upload");
  }

  async #list({ grouped, marker, limit }: Extract<Command, { kind: "list" }>): Promise<void> {
    const { engine } = world;
    const request = { bucket: this.#bucket, ...grouped, limit };
    const model = this.#model;
    const current = model.rows().filter(({ key, id }) => model.current(key)?.id === id);
    const behindKey = ({ key }: { key: string }) => byBytes(key, marker) > 0 || marker === "";
    const objects = listed(current, grouped, marker, behindKey, ({ key }) => key);
    const page = await engine.list(ctx, { ...request, after: marker });
    expect([linesOf(page, ({ key }) => key), page.truncated]).toEqual([
      objects.slice(0, limit),
      objects.length > limit,
    ]);

    const line = ({ key, id }: { key: string; id: string }) =>
      `${key} ${id}${model.of(key)[0]?.id === id ? " latest" : ""}`;
    const lineOf = (entry: { key: string; versionId: string; isLatest: boolean }) =>
      `${entry.key} ${entry.versionId}${entry.isLatest ? " latest" : ""}`;
    const versions = listed(model.rows(), grouped, marker, behindKey, line);
    const versionPage = await engine.listVersions(ctx, { ...request, keyMarker: marker, versionIdMarker: "" });
    expect([linesOf(versionPage, lineOf), versionPage.truncated]).toEqual([
      versions.slice(0, limit),
      versions.length > limit,
    ]);
    for (const [at, { id }] of model.of(marker).entries()) {
      const behind = listed(
        model.rows(),
        grouped,
        marker,
        (row) => behindKey(row) || (row.key === marker && model.of(marker).findIndex((of) => of.id === row.id) > at),
        line,
      );
      const rest = await engine.listVersions(ctx, { ...request, keyMarker: marker, versionIdMarker: id });
      expect(linesOf(rest, lineOf)).toEqual(behind.slice(0, limit));
    }

    // Made in this order, and so named.
    const rows = [...model.uploads].sort((a, b) => byBytes(a.key, b.key));
    const uploads = listed(rows, grouped, marker, behindKey, ({ key, id }) => `${key} ${id}`);
    const uploadPage = await engine.listUploads(ctx, { ...request, keyMarker: marker, uploadIdMarker: "" });
    expect(linesOf(uploadPage, ({ key, uploadId }) => `${key} ${uploadId}`)).toEqual(uploads.slice(0, limit));
    expect(uploadPage.truncated).toBe(uploads.length > limit);
  }

  /** Everything: every version's bytes, and the usage. */
  async check(): Promise<void> {
    const { engine } = world;
    for (const { key, id } of this.#model.rows()) {
      const version = this.#model.of(key).find((of) => of.id === id);
      if (version?.marker) continue;
      expect(await get(engine, this.#bucket, key, id)).toBe(version?.content);
    }
    for (const key of this.#model.keys()) {
      const current = this.#model.current(key);
      if (current) expect(await get(engine, this.#bucket, key)).toBe(current.content);
      else expect(await refusalOf(get(engine, this.#bucket, key))).toBe("no-such-key");
    }
    expect(await engine.usage(ctx, this.#bucket)).toEqual(this.#model.usage());
    for (const { key, id, parts } of this.#model.uploads) {
      const listing = await engine.listParts(ctx, { bucket: this.#bucket, key, uploadId: id }, 0, 1000);
      const wanted = [...parts].sort(([a], [b]) => a - b).map(([number, text]) => [number, bytesOf(text)]);
      expect(listing.parts.map(({ number, sizeBytes }) => [number, sizeBytes])).toEqual(wanted);
    }
    const holdsNone = this.#model.versions.size === 0 && this.#model.uploads.length === 0;
    const deleting = refusalOf(engine.deleteBucket(ctx, this.#bucket));
    expect(await deleting).toBe(holdsNone ? "fulfilled" : "bucket-not-empty");
  }
}

describe("any sequence of operations", () => {
  it("objects, versions, uploads, listings and usage are the model's, also when it was reopened in between", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 10, maxLength: 60 }), async (commands) => {
        const run = new Run(await makeBucket(world.engine));
        for (const step of commands) await run.take(step);
        await run.check();
      }),
      { numRuns: RUNS },
    );
    await expectSound(world.dir);
  });
});
