import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Tagged, taggingXml, tagsFromHeader, tagsFromXml } from "../../objectstore/tags.js";
import { S3Error } from "../../src/errors/s3-error.js";
import type { Pairs } from "../../src/model/object.js";

function codeOf(run: () => unknown): string {
  try {
    run();
    return "fine";
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
}

function document(tags: Pairs): string {
  return taggingXml(tags);
}

const letters = (count: number) => "k".repeat(count);
const numbered = (count: number): Pairs => Array.from({ length: count }, (_, index) => [`k${index}`, "v"] as const);

describe("the x-amz-tagging header", () => {
  it.each<[string, Pairs]>([
    [
      "a=1&b=2",
      [
        ["a", "1"],
        ["b", "2"],
      ],
    ],
    ["key", [["key", ""]]],
    ["key=", [["key", ""]]],
    ["", []],
    ["&&", []],
    ["k=a=b", [["k", "a=b"]]],
    ["a+b=c%20d", [["a b", "c d"]]],
    ["k%2B=%40%3A%2F", [["k+", "@:/"]]],
    ["%C3%A4=%E6%97%A5", [["ä", "日"]]],
    [Buffer.from("ä=日").toString("latin1"), [["ä", "日"]]],
  ])("%j: %j", (header, tags) => {
    expect(tagsFromHeader(header)).toEqual(tags);
  });

  it.each([
    ["a key twice", "a=1&a=2", "InvalidArgument"],
    ["no key", "=", "InvalidArgument"],
    ["a broken percent escape", "a=%4", "InvalidArgument"],
    ["escapes that are no UTF-8", "a=%ff", "InvalidArgument"],
    ["bytes that are no UTF-8", "a=\u00ff", "InvalidArgument"],
    ["a character that tags may not have", "a%26=1", "InvalidTag"],
    ["a value that tags may not have", "a=%3Cb%3E", "InvalidTag"],
    ["the system's prefix", "aws%3Ax=1", "InvalidTag"],
    ["a key too long", `${letters(129)}=1`, "InvalidTag"],
    ["a value too long", `a=${letters(257)}`, "InvalidTag"],
    [
      "eleven tags",
      numbered(11)
        .map(([key]) => key)
        .join("&"),
      "BadRequest",
    ],
  ])("%s: %s", (_, header, code) => {
    expect(codeOf(() => tagsFromHeader(header))).toBe(code);
  });

  it("any header: tags or one of S3's errors", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (header) => {
        expect(["fine", "InvalidArgument", "InvalidTag", "BadRequest"]).toContain(codeOf(() => tagsFromHeader(header)));
      }),
    );
  });
});

describe("a Tagging document", () => {
  const characters = fc.constantFrom(..."abcXYZ089 äß日本 +-=._:/@");
  const text = (most: number) => fc.string({ unit: characters, maxLength: most });
  const tags = fc.uniqueArray(
    fc.tuple(
      text(100).map((key) => `k${key}`),
      text(200),
    ),
    {
      maxLength: 10,
      selector: ([key]) => key,
    },
  );

  it("any allowed tags, written: read back as they were", () => {
    fc.assert(
      fc.property(tags, (given) => {
        expect(tagsFromXml(document(given), "object")).toEqual(given);
      }),
    );
  });

  it.each<[string, Pairs, Tagged, string]>([
    ["none", [], "object", "fine"],
    ["ten of an object", numbered(10), "object", "fine"],
    ["eleven of an object", numbered(11), "object", "BadRequest"],
    ["fifty of a bucket", numbered(50), "bucket", "fine"],
    ["fifty-one of a bucket", numbered(51), "bucket", "BadRequest"],
    ["the longest key and value", [[letters(128), letters(256)]], "object", "fine"],
    ["a key too long", [[letters(129), ""]], "object", "InvalidTag"],
    ["a value too long", [["k", letters(257)]], "object", "InvalidTag"],
    ["an empty key", [["", "v"]], "object", "InvalidTag"],
    [
      "a key twice",
      [
        ["k", "1"],
        ["k", "2"],
      ],
      "object",
      "InvalidTag",
    ],
    ["the system's prefix in capitals", [["AWS:k", "1"]], "bucket", "InvalidTag"],
    ["a character that tags may not have", [["k&", "1"]], "bucket", "InvalidTag"],
  ])("%s: %s %s", (_, given, tagged, code) => {
    expect(codeOf(() => tagsFromXml(document(given), tagged))).toBe(code);
  });

  it("an invalid value: the error names key and value", () => {
    expect(() => tagsFromXml(document([["k", "a&b"]]), "object")).toThrow(
      expect.objectContaining({ fields: { TagKey: "k", TagValue: "a&b" } }),
    );
  });

  it.each([
    ["no TagSet", "<Tagging/>"],
    ["another root", "<Tags><TagSet/></Tags>"],
    ["a tag without a value", "<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging>"],
    ["a tag without a key", "<Tagging><TagSet><Tag><Value>k</Value></Tag></TagSet></Tagging>"],
    ["two keys in one tag", "<Tagging><TagSet><Tag><Key>k</Key><Key>l</Key><Value/></Tag></TagSet></Tagging>"],
    ["an element of none of the schema", "<Tagging><TagSet><Label/></TagSet></Tagging>"],
  ])("%s: MalformedXML", (_, text) => {
    expect(codeOf(() => tagsFromXml(text, "object"))).toBe("MalformedXML");
  });
});

describe("hole: prototype pollution by tag names", () => {
  it.each(["__proto__", "constructor", "prototype", "toString"])("%s: a tag as any other", (key) => {
    expect(tagsFromHeader(`${key}=x`)).toEqual([[key, "x"]]);
    expect(tagsFromXml(document([[key, "x"]]), "object")).toEqual([[key, "x"]]);
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });
});
