import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compare, median, percentile, rotated, timesApart } from "../bench/statistics.js";

const finite = () => fc.double({ min: -1e9, max: 1e9, noNaN: true });
const values = () => fc.array(finite(), { minLength: 1, maxLength: 50 });

describe("percentile", () => {
  it.each([
    [[3, 1, 2], 50, 2],
    [[4, 1, 3, 2], 50, 2],
    [[1, 2, 3, 4], 75, 3],
    [[7], 99, 7],
    [[1, 2], 0, 1],
  ])("of %j at %d is %d", (list, percent, expected) => {
    expect(percentile(list, percent)).toBe(expected);
  });

  it("of 100 values at 99 is the second largest, and of 99 values the largest", () => {
    const ascending = Array.from({ length: 100 }, (_, i) => i + 1);
    expect(percentile(ascending, 99)).toBe(99);
    expect(percentile(ascending.slice(0, 99), 99)).toBe(99);
    expect(percentile(ascending, 100)).toBe(100);
  });

  it("is a value that was measured, and enough of them do not exceed it", () => {
    fc.assert(
      fc.property(values(), fc.integer({ min: 0, max: 100 }), (list, percent) => {
        const found = percentile(list, percent);
        expect(list).toContain(found);
        expect(list.filter((value) => value <= found).length / list.length).toBeGreaterThanOrEqual(percent / 100);
      }),
    );
  });

  it("leaves its argument as it was", () => {
    const list = [3, 1, 2];
    percentile(list, 50);
    expect(list).toEqual([3, 1, 2]);
  });

  it("of nothing, or at no percentage: RangeError", () => {
    expect(() => percentile([], 50)).toThrow(RangeError);
    expect(() => percentile([1], 101)).toThrow(RangeError);
    expect(() => percentile([1], Number.NaN)).toThrow(RangeError);
  });
});

describe("median", () => {
  it.each([
    [[5], 5],
    [[9, 1, 5], 5],
    [[4, 1, 3, 2], 2.5],
  ])("of %j is %d", (list, expected) => {
    expect(median(list)).toBe(expected);
  });

  it("of nothing: RangeError", () => {
    expect(() => median([])).toThrow(RangeError);
  });
});

describe("compare", () => {
  it("gives the ratio of the medians, the median of the ratios, and their quartiles", () => {
    expect(compare([10, 20, 60, 40], [10, 10, 20, 40])).toEqual({ ratio: 2, pairwise: 1.5, spread: [1, 2] });
  });

  it("against itself is 1, in every round", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0.001, max: 1e6, noNaN: true }), { minLength: 1 }), (list) => {
        expect(compare(list, list)).toEqual({ ratio: 1, pairwise: 1, spread: [1, 1] });
      }),
    );
  });

  it("of different numbers of rounds: RangeError", () => {
    expect(() => compare([1, 2], [1])).toThrow(RangeError);
    expect(() => compare([], [])).toThrow(RangeError);
  });
});

describe("timesApart", () => {
  it("is the longest over the shortest, whichever comes first", () => {
    expect(timesApart([10, 15])).toBe(1.5);
    expect(timesApart([15, 10])).toBe(1.5);
    expect(timesApart([7, 7])).toBe(1);
  });
});

describe("rotated", () => {
  it("starts each round with the next one, and keeps all", () => {
    const rounds = [0, 1, 2, 3].map((round) => rotated(["a", "b", "c"], round).join(""));
    expect(rounds).toEqual(["abc", "bca", "cab", "abc"]);
    expect(rotated([], 3)).toEqual([]);
  });
});
