import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseSize, showSize } from "../../src/model/size.js";

describe("parseSize", () => {
  it.each([
    ["0", 0n],
    ["1", 1n],
    ["+5", 5n],
    ["1k", 1000n],
    ["1Ki", 1024n],
    ["1.5Gi", 1610612736n],
    [".5Mi", 524288n],
    ["1.Gi", 2n ** 30n],
    ["1e9", 10n ** 9n],
    ["1E9", 10n ** 9n],
    ["1.5e+3", 1500n],
    ["25e-1", 3n],
    ["1E", 10n ** 18n],
    ["1Ei", 2n ** 60n],
    ["100m", 1n],
    ["128974848000m", 128974848n],
    ["1500u", 1n],
    ["1.5", 2n],
    [" 10Gi ", 10n * 2n ** 30n],
    ["9223372036854775807", 2n ** 63n - 1n],
  ])("%j is %s bytes", (text, bytes) => {
    expect(parseSize("size", text)).toBe(bytes);
  });

  it.each([
    "",
    " ",
    ".",
    "Gi",
    "-1",
    "1 Gi",
    "1gi",
    "1KB",
    "1GiB",
    "0x10",
    "1e",
    "1e9Gi",
    "1.2.3",
    "NaN",
    "Infinity",
    "١Gi",
    "1_000",
  ])("%j: refused, naming the field", (text) => {
    expect(() => parseSize("spec.size", text)).toThrow(/^spec\.size: .* is not a size/);
  });

  it.each(["9223372036854775808", "8Ei", "1e19", "1e999", "9".repeat(40)])(
    "%s, more than an int64: refused",
    (text) => {
      expect(() => parseSize("size", text)).toThrow("largest size");
    },
  );

  it("a hostile text of a megabyte: refused, and not repeated whole", () => {
    expect(() => parseSize("size", "9".repeat(1_000_000))).toThrow(/^size: .{0,100} is not a size/);
  });

  it("every whole number of bytes is itself", () => {
    fc.assert(fc.property(fc.bigInt(0n, 2n ** 63n - 1n), (bytes) => parseSize("size", String(bytes)) === bytes));
  });

  it("thousandths round up to the next byte", () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 10n ** 18n), (milli) => parseSize("size", `${milli}m`) === (milli + 999n) / 1000n),
    );
  });
});

describe("showSize", () => {
  it.each([
    [0n, "0 B"],
    [1023n, "1023 B"],
    [1536n, "1.5 KiB"],
    [2n ** 40n, "1 TiB"],
  ])("%s is %j", (bytes, text) => expect(showSize(bytes)).toBe(text));
});
