import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { pack } from "msgpackr";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FrameReader, FrameWriter } from "../../src/engines/local/objects/frames.js";
import type { Decided, PutRequest, ToClient, ToWriter } from "../../src/engines/local/objects/protocol.js";
import {
  decidedBytes,
  putBytes,
  readDecided,
  readPut,
  writeDecided,
  writePut,
} from "../../src/engines/local/objects/put-message.js";

const buffers = (maxLength: number) => fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes));
const calls = fc.integer({ min: 1, max: 0xffff_ffff });
const requests: fc.Arbitrary<PutRequest> = fc.record({
  key: buffers(1028),
  record: buffers(300),
  inline: fc.option(buffers(5000)),
  preconditions: fc.record({ ifMatch: fc.string(), ifMatchSizeBytes: fc.nat() }, { requiredKeys: [] }),
});
const decisions: fc.Arbitrary<Decided> = fc.record({
  sequence: fc.maxSafeNat(),
  modifiedMs: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
  random: fc.option(fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes))),
});

const preconditionsOf = ({ preconditions }: PutRequest) =>
  Object.keys(preconditions).length === 0 ? undefined : pack(preconditions);

describe("a put and its reply", () => {
  it("any: read as they were written", () => {
    fc.assert(
      fc.property(calls, requests, decisions, fc.nat(9), (call, request, decided, start) => {
        const preconditions = preconditionsOf(request);
        const put = Buffer.alloc(start + putBytes(request, preconditions));
        writePut(put, start, call, request, preconditions);
        expect(readPut(put.subarray(start))).toEqual([call, "put", request]);
        const reply = Buffer.alloc(start + decidedBytes(decided));
        writeDecided(reply, start, call, decided);
        expect(readDecided(reply.subarray(start))).toEqual([call, "ok", decided]);
      }),
    );
  });

  it("another message: left to msgpack", () => {
    const message: ToWriter = [1, "ping", null];
    expect(readPut(pack(message))).toBeUndefined();
    expect(readDecided(pack(message))).toBeUndefined();
  });
});

describe("messages on a socket", () => {
  let folder: string;
  let server: Server;
  let near: Socket;
  let far: Socket;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "granary-frames-"));
    const path = join(folder, "s.sock");
    far = await new Promise<Socket>((resolve) => {
      server = createServer(resolve).listen(path, () => {
        near = connect(path);
      });
    });
  });

  afterEach(() => {
    near.destroy();
    far.destroy();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("thousands, of all sizes, some longer than a buffer: each as it was sent, in order", async () => {
    const writer = new FrameWriter(near);
    const sent: ToClient[] = [];
    const got: ToClient[] = [];
    const reader = new FrameReader<ToClient>(readDecided, (message) => got.push(message));
    far.on("data", (chunk: Buffer) => reader.push(chunk));
    for (let i = 1; i <= 3000; i++) {
      const decided: Decided = { sequence: i, modifiedMs: i * 2, random: i % 2 === 0 ? Buffer.alloc(8, i) : null };
      if (i % 3 === 0) writer.write(decidedBytes(decided), (target, at) => writeDecided(target, at, i, decided));
      else writer.send([i, "ok", i % 500 === 1 ? Buffer.alloc(700_000, i) : Buffer.alloc(i % 997, i)]);
      sent.push(i % 3 === 0 ? [i, "ok", decided] : [i, "ok", Buffer.alloc(i % 500 === 1 ? 700_000 : i % 997, i)]);
      // Buffers that were written are used again while others still wait.
      if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    while (got.length < sent.length) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(got.map((message) => JSON.stringify(message))).toEqual(sent.map((message) => JSON.stringify(message)));
  });

  it("cut anywhere: the same messages", () => {
    fc.assert(
      fc.property(fc.array(requests, { maxLength: 5 }), fc.array(fc.nat(3000), { maxLength: 8 }), (puts, cuts) => {
        const frames = puts.map((request, i) => {
          const preconditions = preconditionsOf(request);
          const frame = Buffer.alloc(4 + putBytes(request, preconditions));
          frame.writeUInt32BE(frame.length - 4, 0);
          writePut(frame, 4, i, request, preconditions);
          return frame;
        });
        const whole = Buffer.concat(frames);
        const got: ToWriter[] = [];
        const reader = new FrameReader<ToWriter>(readPut, (message) => got.push(message));
        let at = 0;
        for (const length of cuts) {
          reader.push(whole.subarray(at, at + length));
          at = Math.min(whole.length, at + length);
        }
        reader.push(whole.subarray(at));
        expect(got).toEqual(puts.map((request, i) => [i, "put", request]));
      }),
    );
  });

  it("a length that is none of ours: refused", () => {
    const reader = new FrameReader(readPut, () => undefined);
    expect(() => reader.push(Buffer.alloc(8, 0xff))).toThrow(RangeError);
  });
});
