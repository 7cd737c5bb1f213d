import { createHash, randomBytes } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import { digestsOf, runningDigests } from "../../objectstore/body/digests.js";
import { Md5Thread } from "../../objectstore/body/md5-thread.js";

const md5 = (bytes: Buffer): string => createHash("md5").update(bytes).digest("hex");
const BYTES = randomBytes(8 * 2 ** 20);

let thread: Md5Thread;
afterEach(() => thread?.close());

async function hashed(bytes: Buffer, pieceBytes: number): Promise<string> {
  const body = thread.begin();
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
    expect(await thread.finish(thread.begin())).toBe(md5(Buffer.alloc(0)));
  });

  it("a body that ended early: forgotten, others go on", async () => {
    thread = new Md5Thread();
    const body = thread.begin();
    await thread.update(body, BYTES.subarray(0, 1000));
    await thread.abandon(body);
    expect(await hashed(BYTES, 65_536)).toBe(md5(BYTES));
  });

  it("the thread ends: who waits for a digest or for room is told, and so is who comes later", async () => {
    thread = new Md5Thread();
    const body = thread.begin();
    const digest = thread.finish(body);
    const failed = expect(digest).rejects.toThrow("the hashing thread has ended");
    await thread.close();
    await failed;
    expect(() => thread.update(body, BYTES.subarray(0, 10))).toThrow("the hashing thread has ended");
    await expect(thread.finish(body)).rejects.toThrow("the hashing thread has ended");
    expect(thread.isKeepingUp).toBe(false);
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
