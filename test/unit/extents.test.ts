import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { allocatedExtents, changedExtents } from "../../src/engines/local/extents.js";
import type { Extent } from "../../src/engines/types.js";
import type { FileExtent } from "../../src/os/filefrag.js";

const BLOCK = 4096n;
const BLOCKS = 40;

/** The model: for each block of a file its place on disk, or null for a hole. */
type Places = (number | null)[];

/** A file's map as a file system gives it: runs of blocks, cut anywhere, so that touching ones occur. */
function toExtents(places: Places, cuts: readonly boolean[]): FileExtent[] {
  const extents: FileExtent[] = [];
  places.forEach((place, block) => {
    if (place === null) return;
    const before = places[block - 1];
    const last = extents.at(-1);
    if (last && before === place - 1 && !cuts[block]) last.lengthBytes += BLOCK;
    else extents.push({ offsetBytes: BigInt(block) * BLOCK, lengthBytes: BLOCK, physicalBytes: BigInt(place) * BLOCK });
  });
  return extents;
}

/** The ranges of the blocks for which `isIn`, joined, and cut at the size. */
function toRanges(isIn: (block: number) => boolean, sizeBytes: bigint): Extent[] {
  const ranges: Extent[] = [];
  for (let block = 0; block < BLOCKS; block++) {
    const start = BigInt(block) * BLOCK;
    const end = start + BLOCK < sizeBytes ? start + BLOCK : sizeBytes;
    if (!isIn(block) || start >= end) continue;
    const last = ranges.at(-1);
    if (last && last.offsetBytes + last.lengthBytes === start) last.lengthBytes = end - last.offsetBytes;
    else ranges.push({ offsetBytes: start, lengthBytes: end - start });
  }
  return ranges;
}

// Few places, so that two files share some; runs of rising places, so that extents of several blocks occur.
const places = fc
  .array(fc.record({ length: fc.integer({ min: 1, max: 6 }), place: fc.option(fc.integer({ min: 0, max: 12 })) }), {
    maxLength: 15,
  })
  .map((runs): Places => {
    const all = runs.flatMap(({ length, place }) =>
      Array.from({ length }, (_unused, i) => (place === null ? null : place + i)),
    );
    return Array.from({ length: BLOCKS }, (_unused, block) => all[block] ?? null);
  });
const cuts = fc.array(fc.boolean(), { minLength: BLOCKS, maxLength: BLOCKS });
const size = fc.bigInt(0n, BigInt(BLOCKS + 2) * BLOCK);

describe("allocatedExtents", () => {
  it("is the model's blocks that have a place, joined and cut at the size", () => {
    fc.assert(
      fc.property(places, cuts, size, (file, at, sizeBytes) => {
        expect(allocatedExtents(toExtents(file, at), sizeBytes)).toEqual(
          toRanges((block) => file[block] !== null, sizeBytes),
        );
      }),
    );
  });

  it("a hole alone and an empty file are nothing", () => {
    expect(allocatedExtents([], BLOCK)).toEqual([]);
    expect(allocatedExtents([{ offsetBytes: BLOCK, lengthBytes: BLOCK, physicalBytes: 0n }], BLOCK)).toEqual([]);
  });
});

describe("changedExtents", () => {
  it("is the model's blocks whose place differs, joined and cut at the size", () => {
    fc.assert(
      fc.property(places, places, cuts, cuts, size, (base, target, cutBase, cutTarget, sizeBytes) => {
        expect(changedExtents(toExtents(base, cutBase), toExtents(target, cutTarget), sizeBytes)).toEqual(
          toRanges((block) => base[block] !== target[block], sizeBytes),
        );
      }),
    );
  });

  it("a file and itself, however its map is cut: nothing changed", () => {
    fc.assert(
      fc.property(places, cuts, cuts, (file, one, other) => {
        expect(changedExtents(toExtents(file, one), toExtents(file, other), BigInt(BLOCKS) * BLOCK)).toEqual([]);
      }),
    );
  });

  it("from an empty file, and to one: all that the other has", () => {
    fc.assert(
      fc.property(places, cuts, size, (file, at, sizeBytes) => {
        const extents = toExtents(file, at);
        expect(changedExtents([], extents, sizeBytes)).toEqual(allocatedExtents(extents, sizeBytes));
        expect(changedExtents(extents, [], sizeBytes)).toEqual(allocatedExtents(extents, sizeBytes));
      }),
    );
  });

  it("is ascending, without overlap or touch, with nothing empty and nothing past the size", () => {
    fc.assert(
      fc.property(places, places, cuts, size, (base, target, at, sizeBytes) => {
        let end = -1n;
        for (const one of changedExtents(toExtents(base, at), toExtents(target, at), sizeBytes)) {
          expect(one.offsetBytes > end && one.lengthBytes > 0n).toBe(true);
          end = one.offsetBytes + one.lengthBytes;
          expect(end <= sizeBytes).toBe(true);
        }
      }),
    );
  });
});
