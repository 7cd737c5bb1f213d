import { mkdirSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkObjectStore } from "../../src/engines/local/objects/doctor.js";
import { openTables, type TableName } from "../../src/engines/local/objects/tables.js";
import {
  ATTRIBUTES,
  bodyFiles,
  ctx,
  type EngineWorld,
  expectSound,
  makeBucket,
  makeEngineWorld,
  put,
  remove,
  sourceOf,
} from "./objects-engine-world.js";

const LARGE = Buffer.alloc(100_000, "large");

let world: EngineWorld;
/** Every file but those that wait to be collected. */
let files: string[];

beforeAll(async () => {
  world = await makeEngineWorld();
  const { engine } = world;
  const bucket = await makeBucket(engine, { name: "bucket", versioning: "enabled" });
  await put(engine, bucket, "small", "small");
  await put(engine, bucket, "large", LARGE);
  await remove(engine, bucket, "large");
  for (const key of ["whole", "unfinished"]) {
    const rest = { initiatorId: "alice", checksumAlgorithm: null, checksumType: "FULL_OBJECT" } as const;
    const { uploadId } = await engine.createUpload(ctx, { bucket, key, attributes: ATTRIBUTES, ...rest });
    const part = await engine.putPart(ctx, { bucket, key, uploadId, partNumber: 1, body: sourceOf(LARGE) });
    if (key === "unfinished") continue;
    const parts = [{ number: 1, etag: part.etag, checksum: null }];
    const digest = () => ({ etag: "etag-1", checksum: null });
    await engine.completeUpload(ctx, { bucket, key, uploadId, parts, preconditions: {}, digest });
  }
  await makeBucket(engine, { name: "empty" });
  await engine.close();
  files = bodyFiles(world.dir);
  expect(files.length).toBe(3);
});
// The engine is closed already; closing it again does no harm.
afterAll(() => world.close());

async function checksFound(): Promise<string[]> {
  const report = await checkObjectStore(world.dir);
  return [...new Set(report?.findings.map(({ check }) => check))].sort();
}

/** Changes the first row of a table by hand, as no request does, and puts it back when the doctor has looked. */
async function withRow(table: TableName, change: (value: Buffer) => Buffer | undefined): Promise<string[]> {
  const [key, value] = firstRow(table);
  writeRow(table, key, change(Buffer.from(value)));
  try {
    return await checksFound();
  } finally {
    writeRow(table, key, value);
    await expectSound(world.dir);
  }
}

function firstRow(table: TableName): [Buffer, Buffer] {
  const tables = openTables(world.dir, { readOnly: true });
  const [row] = [...tables[table].getRange({ limit: 1 })].map(({ key, value }) => [
    Buffer.from(key),
    Buffer.from(value),
  ]);
  void tables.root.close();
  return row as [Buffer, Buffer];
}

function writeRow(table: TableName, key: Buffer, value: Buffer | undefined): void {
  const tables = openTables(world.dir, { readOnly: false });
  tables.root.transactionSync(() => {
    if (value) tables[table].putSync(key, value);
    else tables[table].removeSync(key);
  });
  void tables.root.close();
}

const increased = (at: number) => (value: Buffer) => {
  value[at] = (value[at] as number) + 1;
  return value;
};

describe("the doctor of an object store", () => {
  it("a sound one: no finding, and what it looked at", async () => {
    expect(await checkObjectStore(world.dir)).toEqual({ findings: [], objects: 3, bodies: 3 });
  });

  it("no store: nothing", async () => {
    expect(await checkObjectStore(join(world.dir, "elsewhere"))).toBeUndefined();
  });

  it.each([
    ["a usage that is not what the bucket holds", "usage", increased(15), ["usage-wrong"]],
    ["a usage that is gone", "usage", () => undefined, ["usage-wrong"]],
    ["a body that counts a reference too many", "bodies", increased(3), ["body-references"]],
    ["a body without a record", "bodies", () => undefined, ["body-orphan", "body-references"]],
    ["a manifest that counts a reference too many", "manifests", increased(3), ["manifest-references"]],
    ["a small body that is gone", "inline", () => undefined, ["inline-missing"]],
    ["a version that is gone", "objects", () => undefined, ["inline-left", "usage-wrong"]],
    ["an upload that is gone", "uploads", () => undefined, ["part-lost", "usage-wrong"]],
    ["a bucket without a name", "bucketIds", () => undefined, ["bucket-lost"]],
  ] as const)("%s: found", async (_what, table, change, checks) => {
    expect(await withRow(table, change)).toEqual(checks);
  });

  it("a file that is missing, or has another length: found, and what to do about it", async () => {
    const path = join(world.dir, "bodies", files[0] as string);
    renameSync(path, `${path}.away`);
    expect(await checksFound()).toEqual(["body-missing", "body-orphan"]);
    renameSync(`${path}.away`, path);
    await expectSound(world.dir);
    truncateSync(join(world.dir, "bodies", files[1] as string), 500);
    const report = await checkObjectStore(world.dir);
    expect(report?.findings).toEqual([
      expect.objectContaining({ check: "body-size", what: expect.stringMatching(/500 bytes/), severity: "error" }),
    ]);
  });

  it("files that no metadata names: found, but not in a generation that is open", async () => {
    const bodies = join(world.dir, "bodies");
    const before = await checksFound();
    for (const name of ["00000001/fff", "0000abcd/000", "strange/file"]) {
      mkdirSync(join(bodies, name, ".."), { recursive: true });
      writeFileSync(join(bodies, name), "x");
    }
    const report = await checkObjectStore(world.dir);
    const orphans = report?.findings
      .filter(({ check }) => check === "body-orphan")
      .map(({ where }) => where.slice(-12));
    expect(orphans?.sort()).toEqual(["00000001/fff", "0000abcd/000", "strange/file"].sort());
    const generation = Buffer.alloc(8);
    generation.writeUInt32BE(0xabcd, 4);
    writeRow("generations", generation, Buffer.alloc(8));
    const again = await checkObjectStore(world.dir);
    expect(again?.findings.filter(({ check }) => check === "body-orphan").length).toBe(2);
    for (const name of ["00000001/fff", "0000abcd", "strange"]) rmSync(join(bodies, name), { recursive: true });
    expect(await checksFound()).toEqual(before);
  });
});
