import { createHash, randomBytes } from "node:crypto";
import { afterEach, describe, expect, it, vi } from "vitest";
import { digestsOf, runningDigests } from "../../objectstore/body/digests.js";
import { type Lane, Md5Thread } from "../../objectstore/body/md5-thread.js";
import { streamSource } from "../../objectstore/body/stream-source.js";
import type { BodySource } from "../../src/engines/object-engine.js";

const md5 = (bytes: Buffer): string => createHash("md5").update(bytes).digest("hex");
const BYTES = randomBytes(8 * 2 ** 20);

let thread: Md5Thread;
afterEach(() => thread?.close());

function begin(): Lane {
  const lane = thread.begin();
  if (lane === undefined) throw new Error("there is no lane");
  return lane;
}

async function hashed(bytes: Buffer, pieceBytes: number): Promise<string> {
  const body = begin();
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const piece = Buffer.from(bytes.subarray(at, at + pieceBytes));
    const wait = thread.update(body, piece);
    if (wait) await wait;
    // Once it is taken, the buffer is the caller's again.
    piece.fill(0);
  }
  return thread.finish(body);
}

describe("MD5 in a thread", () => {
  it("bodies at once, of pieces smaller and larger than a slot, more than the ring holds: each its own", async () => {
    thread = new Md5Thread();
    const sizes = [1, 1000, 65_535, 65_536, 65_537, 200_000, 5_000_000];
    const bodies = sizes.map((pieceBytes, i) => ({
      pieceBytes,
      bytes: BYTES.subarray(i * 1000, BYTES.length - i * 77_777),
    }));
    const small = { pieceBytes: 1, bytes: BYTES.subarray(0, 3000) };
    const all = [small, ...bodies.slice(1)];
    const found = await Promise.all(all.map(({ bytes, pieceBytes }) => hashed(bytes, pieceBytes)));
    expect(found).toEqual(all.map(({ bytes }) => md5(bytes)));
  });

  it("no bytes at all: their MD5", async () => {
    thread = new Md5Thread();
    expect(await thread.finish(begin())).toBe(md5(Buffer.alloc(0)));
  });

  it("lengths around the ends of blocks and buffers, two bodies in turns: each its own", async () => {
    thread = new Md5Thread();
    const around = [0, 56, 64, 128, 65_536, 2 * 65_536, 5 * 65_536].flatMap((n) => [n - 9, n - 8, n - 1, n, n + 1]);
    const lengths = around.filter((length) => length >= 0);
    const other = (length: number) => BYTES.subarray(7, 7 + 3 * length);
    for (const length of lengths) {
      const found = await Promise.all([hashed(BYTES.subarray(0, length), 40_000), hashed(other(length), 50_000)]);
      expect([length, ...found]).toEqual([length, md5(BYTES.subarray(0, length)), md5(other(length))]);
    }
  });

  it("one body is fast, its neighbours stand still, end early or end: it goes on alone", async () => {
    thread = new Md5Thread();
    const [still, early, short] = [begin(), begin(), begin()];
    for (const lane of [still, early, short]) await thread.update(lane, BYTES.subarray(0, 100_000));
    const fast = hashed(BYTES, 65_536);
    await thread.abandon(early);
    expect(await thread.finish(short)).toBe(md5(BYTES.subarray(0, 100_000)));
    expect(await fast).toBe(md5(BYTES));
    await thread.update(still, BYTES.subarray(100_000));
    expect(await thread.finish(still)).toBe(md5(BYTES));
  });

  it("more bodies than lanes: no lane, until one is free again", async () => {
    thread = new Md5Thread();
    const lanes: Lane[] = [];
    for (let lane = thread.begin(); lane !== undefined; lane = thread.begin()) lanes.push(lane);
    expect(lanes.length).toBe(16);
    await Promise.all(lanes.map((lane, i) => thread.update(lane, BYTES.subarray(i, 1_000_000))));
    await thread.abandon(lanes[0] as Lane);
    expect(await hashed(BYTES, 65_536)).toBe(md5(BYTES));
    const found = await Promise.all(lanes.slice(1).map((lane) => thread.finish(lane)));
    expect(found).toEqual(lanes.slice(1).map((_, i) => md5(BYTES.subarray(i + 1, 1_000_000))));
  });

  it("a body that ended early: forgotten, others go on", async () => {
    thread = new Md5Thread();
    const body = begin();
    await thread.update(body, BYTES.subarray(0, 1000));
    await thread.abandon(body);
    expect(await hashed(BYTES, 65_536)).toBe(md5(BYTES));
  });

  it("the thread ends: who waits for a digest or for room is told, and so is who comes later", async () => {
    thread = new Md5Thread();
    const body = begin();
    const digest = thread.finish(body);
    const failed = expect(digest).rejects.toThrow("the hashing thread has ended");
    await thread.close();
    await failed;
    expect(() => thread.update(body, BYTES.subarray(0, 10))).toThrow("the hashing thread has ended");
    await expect(thread.finish(body)).rejects.toThrow("the hashing thread has ended");
    expect(thread.begin()).toBe(undefined);
  });
});

describe("runningDigests", () => {
  it.each([undefined, 1000, 8 * 2 ** 20])("a body of %s bytes declared: the digests of its bytes", async (declared) => {
    const wanted = { md5: true, sha256: true, checksum: "CRC64NVME" } as const;
    const running = runningDigests(wanted, declared);
    const bytes = BYTES.subarray(0, declared ?? 3_000_000);
    for (let at = 0; at < bytes.length; at += 60_000) await running.update(bytes.subarray(at, at + 60_000));
    expect(await running.finish()).toEqual(digestsOf(bytes, wanted));
  });
});

describe("a body that is hashed in the thread", () => {
  const stream = (pieces: AsyncIterable<Buffer>) =>
    streamSource({
      ...{ pieces, lengthBytes: BYTES.length, algorithm: "CRC64NVME", checksum: () => undefined },
      declared: { md5: undefined, sha256: undefined, checksum: undefined },
    });
  async function* all() {
    for (let at = 0; at < BYTES.length; at += 65_536) yield BYTES.subarray(at, at + 65_536);
  }
  async function* failing() {
    yield BYTES.subarray(0, 100_000);
    throw new Error("the client is gone");
  }

  it("the engine asks for none of it, leaves early, takes all and asks for no digest, or the client goes: no lane is held", async () => {
    const begun = vi.spyOn(Md5Thread.prototype, "begin");
    for (let i = 0; i < 40; i++) {
      stream(all());
      for await (const _ of stream(all()).bytes as AsyncIterable<Buffer>) break;
      await expect(takeAll(stream(failing()))).rejects.toThrow("the client is gone");
      if (i % 8 === 0) await takeAll(stream(all()));
    }
    const source = stream(all());
    await takeAll(source);
    expect((await source.finish()).md5).toBe(md5(BYTES));
    // Every one of them found a lane: there are sixteen.
    expect(begun.mock.results.filter(({ value }) => value === undefined)).toEqual([]);
    expect(begun.mock.results.length).toBe(40 + 40 + 5 + 1);
    begun.mockRestore();
  });

  it("finish() before all was read: IncompleteBody", async () => {
    await expect(stream(all()).finish()).rejects.toMatchObject({ code: "IncompleteBody" });
  });
});

async function takeAll(source: BodySource): Promise<void> {
  for await (const _ of source.bytes as AsyncIterable<Buffer>);
}
