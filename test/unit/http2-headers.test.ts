import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HeaderBlockRewriter } from "../../src/runtime/http2-headers.js";
import { frame, PREFACE } from "./hpack-blocks.js";

const [DATA, HEADERS, SETTINGS, CONTINUATION] = [0x0, 0x1, 0x4, 0x9];
const [END_STREAM, END_HEADERS, PADDED, PRIORITY] = [0x1, 0x4, 0x8, 0x20];
const PRIORITY_FIELDS = Buffer.from([0, 0, 0, 7, 15]);

/** What comes out when `bytes` go in, cut into pieces of the sizes in turn. */
function through(bytes: Buffer, rewrite: (block: Buffer) => Buffer | null, sizes: readonly number[] = []): Buffer {
  const rewriter = new HeaderBlockRewriter(rewrite);
  const out: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] ?? bytes.length;
    out.push(...rewriter.push(bytes.subarray(at, at + size)));
    at += size;
  }
  return Buffer.concat([...out, rewriter.end()]);
}

const padded = (payload: Buffer, bytes: number) => Buffer.concat([Buffer.of(bytes), payload, Buffer.alloc(bytes)]);
const doubled = (block: Buffer) => Buffer.concat([block, block]);

describe("HeaderBlockRewriter", () => {
  it("gets a block without padding and priority, joined over CONTINUATION frames", () => {
    const blocks: string[] = [];
    const see = (block: Buffer) => {
      blocks.push(block.toString());
      return null;
    };
    const bytes = Buffer.concat([
      PREFACE,
      frame(HEADERS, END_HEADERS, 1, Buffer.from("plain")),
      frame(HEADERS, END_HEADERS | PADDED, 3, padded(Buffer.from("padded"), 9)),
      frame(HEADERS, END_HEADERS | PRIORITY, 5, Buffer.concat([PRIORITY_FIELDS, Buffer.from("priority")])),
      frame(
        HEADERS,
        PADDED | PRIORITY | END_STREAM,
        7,
        padded(Buffer.concat([PRIORITY_FIELDS, Buffer.from("both")]), 3),
      ),
      frame(CONTINUATION, 0, 7, Buffer.alloc(0)),
      frame(CONTINUATION, END_HEADERS, 7, Buffer.from(", continued")),
      frame(HEADERS, END_HEADERS, 9, Buffer.alloc(0)),
    ]);
    expect(through(bytes, see, [1])).toEqual(bytes);
    expect(blocks).toEqual(["plain", "padded", "priority", "both, continued", ""]);
  });

  it("a rewritten block: one HEADERS frame that keeps stream, END_STREAM and priority, without padding", () => {
    const payload = padded(Buffer.concat([PRIORITY_FIELDS, Buffer.from("ab")]), 200);
    const sent = [
      frame(HEADERS, PADDED | PRIORITY | END_STREAM, 7, payload),
      frame(CONTINUATION, END_HEADERS, 7, Buffer.from("c")),
    ];
    const expected = frame(
      HEADERS,
      PRIORITY | END_STREAM | END_HEADERS,
      7,
      Buffer.concat([PRIORITY_FIELDS, Buffer.from("abcabc")]),
    );
    expect(through(Buffer.concat([PREFACE, ...sent]), doubled)).toEqual(Buffer.concat([PREFACE, expected]));
  });

  it.each([
    [8192, [16_384]],
    [8193, [16_384, 2]],
    [20_000, [16_384, 16_384, 7232]],
  ])("a block of %i bytes that doubles goes on in frames of %j", (length, sizes) => {
    const block = Buffer.alloc(length, 7);
    const frames = sizes.map((size, i) =>
      frame(
        i === 0 ? HEADERS : CONTINUATION,
        (i === 0 ? END_STREAM : 0) | (i === sizes.length - 1 ? END_HEADERS : 0),
        5,
        Buffer.alloc(size, 7),
      ),
    );
    const sent = [
      frame(HEADERS, END_STREAM, 5, block.subarray(0, 8000)),
      frame(CONTINUATION, END_HEADERS, 5, block.subarray(8000)),
    ];
    expect(through(Buffer.concat([PREFACE, ...sent]), doubled, [1000])).toEqual(Buffer.concat([PREFACE, ...frames]));
  });

  it("any frames in any pieces: the same as in one piece, and nothing but the blocks is changed", () => {
    const payload = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
    const other = fc
      .tuple(fc.constantFrom(DATA, SETTINGS, 0x2, 0x3, 0x6, 0x7, 0x8, 0xfe), fc.nat(255), fc.nat(99), payload)
      .map(([type, flags, stream, bytes]) => ({ sent: frame(type, flags, stream, bytes), expected: null }));
    const headers = fc
      .tuple(fc.array(payload, { minLength: 1, maxLength: 4 }), fc.nat(99), fc.boolean(), fc.nat(255))
      .map(([parts, stream, isPadded, padding]) => {
        const frames = parts.map((part, i) => {
          const end = i === parts.length - 1 ? END_HEADERS : 0;
          if (i > 0) return frame(CONTINUATION, end, stream, part);
          return isPadded
            ? frame(HEADERS, end | PADDED, stream, padded(part, padding))
            : frame(HEADERS, end, stream, part);
        });
        const expected = frame(HEADERS, END_HEADERS, stream, doubled(Buffer.concat(parts)));
        return { sent: Buffer.concat(frames), expected };
      });
    const sizes = fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(fc.array(fc.oneof(other, headers), { maxLength: 10 }), sizes, (list, cuts) => {
        const sent = Buffer.concat([PREFACE, ...list.map((one) => one.sent)]);
        const expected = Buffer.concat([PREFACE, ...list.map((one) => one.expected ?? one.sent)]);
        expect(through(sent, doubled, cuts)).toEqual(expected);
        expect(through(sent, doubled, [1])).toEqual(expected);
        expect(through(sent, () => null, cuts)).toEqual(sent);
      }),
    );
  });

  it("lets go on at once what is not a header block: DATA byte by byte, and all of a chunk without a copy", () => {
    const rewriter = new HeaderBlockRewriter(() => null);
    rewriter.push(Buffer.concat([PREFACE, frame(DATA, 0, 1, Buffer.alloc(1000)).subarray(0, 9)]));
    for (let i = 0; i < 1000; i++) expect(rewriter.push(Buffer.of(i % 256))).toEqual([Buffer.of(i % 256)]);
    const chunk = Buffer.concat([frame(SETTINGS, 0, 0, Buffer.alloc(6)), frame(HEADERS, END_HEADERS, 1, PREFACE)]);
    const [out] = rewriter.push(chunk);
    expect([out?.buffer === chunk.buffer, out?.byteOffset, out?.length]).toEqual([
      true,
      chunk.byteOffset,
      chunk.length,
    ]);
  });

  const asIs = (...frames: Buffer[]) => Buffer.concat([PREFACE, ...frames]);
  const big = Buffer.alloc(60_000);
  it.each([
    ["no HTTP/2", Buffer.from("GET / HTTP/1.1\r\nhost: a\r\n\r\n")],
    ["a preface with one wrong byte", Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\n\r")],
    ["padding longer than the frame", asIs(frame(HEADERS, END_HEADERS | PADDED, 1, Buffer.from([9, 1, 2])))],
    ["a padded frame without its length", asIs(frame(HEADERS, END_HEADERS | PADDED, 1, Buffer.alloc(0)))],
    ["a frame too short for its priority", asIs(frame(HEADERS, END_HEADERS | PRIORITY, 1, Buffer.alloc(4)))],
    ["another stream's CONTINUATION", asIs(frame(HEADERS, 0, 1, PREFACE), frame(CONTINUATION, 4, 3, PREFACE))],
    ["DATA inside a block", asIs(frame(HEADERS, 0, 1, PREFACE), frame(DATA, 0, 1, PREFACE))],
    ["a block of one frame past 64 KiB", asIs(frame(HEADERS, END_HEADERS, 1, Buffer.alloc(70_000)))],
    ["a block of two frames past 64 KiB", asIs(frame(HEADERS, 0, 1, big), frame(CONTINUATION, 4, 1, big))],
    ["an end in the middle of a block", asIs(frame(HEADERS, END_HEADERS, 1, PREFACE)).subarray(0, 40)],
  ])("%s: passes as it is", (_what, bytes) => {
    for (const sizes of [[bytes.length], [1], [7, 1000]]) expect(through(bytes, doubled, sizes)).toEqual(bytes);
  });

  it("a block that is never ended is held up to 64 KiB and no further", () => {
    const rewriter = new HeaderBlockRewriter(() => null);
    rewriter.push(PREFACE);
    rewriter.push(frame(HEADERS, 0, 1, Buffer.alloc(0)));
    let [sent, passed] = [9, 0];
    while (sent < 200_000) {
      const next = frame(CONTINUATION, 0, 1, Buffer.alloc(100));
      sent += next.length;
      passed += Buffer.concat(rewriter.push(next)).length;
      expect(sent - passed).toBeLessThanOrEqual(65_536);
    }
  });
});
