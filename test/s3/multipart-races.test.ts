import { createHash, randomBytes } from "node:crypto";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { checkObjectStore } from "../../src/engines/local/objects/doctor.js";
import { bodyFiles } from "../root/objects-disk-world.js";
import type { RawAnswer } from "./exact-request.js";
import { beginUpload, MIB, type TestUpload } from "./multipart-world.js";
import { texts, useWorld } from "./s3-world.js";

const world = useWorld();
const ROUNDS = Array.from({ length: 12 }, (_, i) => i);
const FIRST = randomBytes(5 * MIB);
/** Bytes that no other part has: in a file of their own, or in the metadata. */
const fresh = (i: number) => randomBytes(i % 2 === 0 ? 100_000 : 100);
const outcome = ({ status, code }: RawAnswer) => (code === "" ? `${status}` : `${status} ${code}`);
const etag = (bytes: Buffer) => `"${createHash("md5").update(bytes).digest("hex")}"`;

/** Metadata, usages and files agree, and no file is left over. */
afterEach(async () => {
  const { dataDir } = world.server;
  const look = async () => {
    const report = await checkObjectStore(join(dataDir, "objects"));
    return { findings: report?.findings, left: bodyFiles(dataDir).size - (report?.bodies ?? 0) };
  };
  await expect.poll(look, { timeout: 15_000, interval: 100 }).toEqual({ findings: [], left: 0 });
});

/** These objects and nothing else, by its listings, its bytes and its own account. */
async function expectHolds(bucket: string, objects: ReadonlyMap<string, Buffer>): Promise<void> {
  for (const [key, bytes] of objects) expect((await world.get(bucket, key)).bytes.equals(bytes), key).toBe(true);
  expect(texts((await world.send(bucket, undefined)).xml(), "Contents/Key")).toEqual([...objects.keys()].sort());
  const uploads = await world.send(bucket, undefined, { query: "uploads" });
  expect(texts(uploads.xml(), "Upload/UploadId")).toEqual([]);
  const bytes = [...objects.values()].reduce((sum, one) => sum + one.length, 0);
  const { stdout } = world.server.granary("bucket", "show", bucket, "-o", "json");
  expect(JSON.parse(stdout)).toMatchObject({ usage: { objects: objects.size, bytes, deleteMarkers: 0, uploads: 0 } });
}

/** Completes an upload with the first two parts that it lists now, and answers the bytes that these are. */
async function completeListed(upload: TestUpload, sent: readonly Buffer[]): Promise<Buffer> {
  // All but the last need 5 MiB, as the first alone has.
  const listing = (await upload.list("&max-parts=2")).xml();
  const numbers = texts(listing, "Part/PartNumber");
  const etags = texts(listing, "Part/ETag");
  const named = Object.fromEntries(numbers.map((number, i) => [number, `<ETag>${etags[i]}</ETag>`]));
  expect(outcome(await upload.complete(named))).toBe("200");
  return Buffer.concat(etags.map((one) => sent.find((bytes) => etag(bytes) === one) ?? Buffer.from(`no part ${one}`)));
}

describe("rule 26: many at once on one upload", () => {
  it("parts race the completion: the object is the parts that it lists, exactly; the others leave nothing", async () => {
    const bucket = await world.bucket();
    const objects = new Map<string, Buffer>();
    const race = async (round: number) => {
      const key = `key-${round}`;
      const [listed, others] = [fresh(round), Array.from({ length: 3 }, (_, i) => fresh(i))];
      const upload = await beginUpload(world, bucket, key);
      const parts = { 1: await upload.part(1, FIRST), 2: await upload.part(2, listed) };
      const complete = () => upload.complete(parts);
      const first = round % 2 === 0 ? [complete()] : [];
      // The same part once more, other bytes in its place, and numbers that the completion does not name.
      const raced = [upload.part(2, listed), upload.part(1, FIRST)];
      if (round % 3 !== 0) raced.push(...others.map((bytes) => upload.part(2, bytes)));
      raced.push(...others.map((bytes, i) => upload.part(3 + i, bytes)));
      const completions = (await Promise.all([...first, complete(), complete()])).map(outcome);
      for (const answer of await Promise.all(raced)) expect(["200", "404 NoSuchUpload"]).toContain(outcome(answer));
      // They agree, as the first that came through ends it.
      expect([["200"], ["400 InvalidPart"]]).toContainEqual([...new Set(completions)]);
      if (completions[0] === "200") objects.set(key, Buffer.concat([FIRST, listed]));
      else objects.set(key, await completeListed(upload, [FIRST, listed, ...others]));
      expect(outcome(await upload.part(9, "late"))).toBe("404 NoSuchUpload");
    };
    await Promise.all(ROUNDS.map(race));
    await expectHolds(bucket, objects);
  });

  it("parts race the abort: none is kept, in metadata, usage or files", async () => {
    const bucket = await world.bucket();
    const race = async (round: number) => {
      const upload = await beginUpload(world, bucket, `key-${round}`);
      await upload.part(1, fresh(0));
      const raced = Array.from({ length: 8 }, (_, i) => upload.part(1 + (i % 4), fresh(i)));
      const aborts = (await Promise.all([upload.abort(), upload.abort()])).map(outcome);
      expect(aborts).toContain("204");
      expect(aborts.filter((one) => one !== "204" && one !== "404 NoSuchUpload")).toEqual([]);
      for (const answer of await Promise.all(raced)) expect(["200", "404 NoSuchUpload"]).toContain(outcome(answer));
      expect(outcome(await upload.list())).toBe("404 NoSuchUpload");
    };
    await Promise.all(ROUNDS.map(race));
    await expectHolds(bucket, new Map());
  });

  it("completion and abort race: one of them it was, and wholly", async () => {
    const bucket = await world.bucket();
    const objects = new Map<string, Buffer>();
    const race = async (round: number) => {
      const key = `key-${round}`;
      const body = fresh(round);
      const upload = await beginUpload(world, bucket, key);
      const parts = { 1: await upload.part(1, body) };
      const late = upload.part(2, fresh(0));
      const calls = [() => upload.complete(parts), () => upload.abort()];
      if (round % 2 === 0) calls.reverse();
      const outcomes = (await Promise.all(calls.map((call) => call()))).map(outcome);
      await late;
      expect([
        ["200", "404 NoSuchUpload"],
        ["204", "404 NoSuchUpload"],
      ]).toContainEqual(outcomes.sort());
      if (outcomes.includes("200")) objects.set(key, body);
    };
    await Promise.all(ROUNDS.map(race));
    await expectHolds(bucket, objects);
  });

  it("under a quota: parts that do not fit are refused, and the rest adds up", async () => {
    const bucket = await world.bucket();
    const room = 450_000;
    expect(world.server.granary("bucket", "set", bucket, "--quota", String(room)).code).toBe(0);
    const objects = new Map<string, Buffer>();
    const race = async (round: number) => {
      const key = `key-${round}`;
      const body = fresh(0);
      const upload = await beginUpload(world, bucket, key);
      const part = await upload.part(1, body);
      const raced = Array.from({ length: 4 }, (_, i) => upload.part(2 + i, fresh(0)));
      const done = part.status === 200 ? await upload.complete({ 1: part }) : await upload.abort();
      expect(["200", "204"]).toContain(outcome(done));
      if (part.status === 200) objects.set(key, body);
      const answers = new Set((await Promise.all(raced)).map(outcome));
      for (const one of answers) expect(["200", "404 NoSuchUpload", "403 QuotaExceeded"]).toContain(one);
    };
    await Promise.all(ROUNDS.map(race));
    expect(objects.size).toBeLessThanOrEqual(room / 100_000);
    await expectHolds(bucket, objects);
  });
});
