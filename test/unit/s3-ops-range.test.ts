import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { contentRange, parseCopyRange, parseRange } from "../../objectstore/http/range.js";

describe("Range", () => {
  it.each([
    ["bytes=0-0", 10, 0, 1],
    ["bytes=0-9", 10, 0, 10],
    ["bytes=3-", 10, 3, 7],
    ["bytes=3-1000", 10, 3, 7],
    ["bytes=9-9", 10, 9, 1],
    ["bytes=-1", 10, 9, 1],
    ["bytes=-100", 10, 0, 10],
    ["BYTES=1-2", 10, 1, 2],
    ["bytes=0-99999999999999999999", 10, 0, 10],
  ])("%s of %i bytes: offset %i, length %i", (header, size, offsetBytes, lengthBytes) => {
    expect(parseRange(header, size)).toEqual({ offsetBytes, lengthBytes });
  });

  it.each([
    ["bytes=-0", 10],
    ["bytes=10-", 10],
    ["bytes=10-20", 10],
    ["bytes=99999999999999999999-", 10],
    ["bytes=0-", 0],
    ["bytes=0-0", 0],
    ["bytes=-5", 0],
  ])("%s of %i bytes: not satisfiable", (header, size) => {
    expect(parseRange(header, size)).toBe("unsatisfiable");
  });

  it.each([
    "bytes=",
    "bytes=-",
    "bytes=5-3",
    "bytes=a-b",
    "bytes=0-1,3-4",
    "bytes 0-1",
    "items=0-1",
    "0-1",
    "",
    "bytes=1--2",
    "bytes=+1-2",
    "bytes=0x1-2",
  ])("%j: ignored", (header) => {
    expect(parseRange(header, 10)).toBeUndefined();
  });

  it("any text: a range inside of the object, or none", () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^bytes=\d{0,18}-\d{0,18}$/));
    fc.assert(
      fc.property(text, fc.nat(1000), (header, size) => {
        const range = parseRange(header, size);
        if (range === undefined || range === "unsatisfiable") return;
        expect(range.offsetBytes).toBeGreaterThanOrEqual(0);
        expect(range.lengthBytes).toBeGreaterThan(0);
        expect(range.offsetBytes + range.lengthBytes).toBeLessThanOrEqual(size);
      }),
    );
  });

  it("first and last as numbers: the bytes between them, as Content-Range says", () => {
    fc.assert(
      fc.property(fc.nat(500), fc.nat(500), fc.integer({ min: 1, max: 600 }), (first, more, size) => {
        const last = first + more;
        const range = parseRange(`bytes=${first}-${last}`, size);
        if (first >= size) expect(range).toBe("unsatisfiable");
        else {
          if (range === undefined || range === "unsatisfiable") throw new Error("a range was due");
          expect(contentRange(range, size)).toBe(`bytes ${first}-${Math.min(last, size - 1)}/${size}`);
        }
      }),
    );
  });
});

describe("x-amz-copy-source-range", () => {
  it("both ends: the range, which may reach past the object", () => {
    expect(parseCopyRange("bytes=5-9")).toEqual({ offsetBytes: 5, lengthBytes: 5 });
  });

  it.each([
    "0-2",
    "bytes=0",
    "bytes=hello-world",
    "bytes=0-bar",
    "bytes=hello-",
    "bytes=0-2,3-5",
    "bytes=3-",
    "bytes=-3",
    "bytes=3-2",
  ])("%s: not of its form", (header) => {
    expect(parseCopyRange(header)).toBeUndefined();
  });
});
