import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { globCanBegin, globMatcher, globTokens } from "../../objectstore/access/glob.js";
import { type Json, parsePolicyJson } from "../../objectstore/access/policy-json.js";

const matches = (pattern: string, text: string) => globMatcher(globTokens(pattern))(text);

/** By definition, and as slow as that is. */
function oracle(pattern: readonly string[], text: readonly string[]): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return text.length === 0;
  if (first === "*") return oracle(rest, text) || (text.length > 0 && oracle(pattern, text.slice(1)));
  return text.length > 0 && (first === "?" || first === text[0]) && oracle(rest, text.slice(1));
}

describe("wildcard patterns", () => {
  it.each([
    ["", "", true],
    ["", "a", false],
    ["*", "", true],
    ["*", "a/b/c", true],
    ["?", "", false],
    ["?", "a", true],
    ["?", "ab", false],
    ["?", "😀", true],
    ["??", "😀", false],
    ["a*", "a", true],
    ["a*", "ba", false],
    ["*a", "aba", true],
    ["*a", "ab", false],
    ["a*a", "a", false],
    ["a*a", "aa", true],
    ["ab*ba", "aba", false],
    ["*a*", "bab", true],
    ["a*b*c", "a/b/b/c", true],
    ["a*b*c", "acb", false],
    ["a*bc*c", "abc", false],
    ["a?c", "abc", true],
    ["a?c", "a/c", true],
    ["a?*c", "ac", false],
    ["*?", "a", true],
    ["photos/*/raw-?.dng", "photos/2024/01/raw-7.dng", true],
    ["photos/*/raw-?.dng", "photos/raw-7.dng", false],
    ["[a-z]", "b", false],
    ["a.c", "abc", false],
    ["(a+)+$", "(a+)+$", true],
    ["\\*", "\\x", true],
  ])("%j of %j: %j", (pattern, text, expected) => {
    expect(matches(pattern, text)).toBe(expected);
  });

  it("agree with the definition, for every pattern and text", () => {
    const characters = fc.constantFrom("a", "b", "/", "😀");
    const patterns = fc.array(fc.oneof(characters, fc.constantFrom("*", "?")), { maxLength: 8 });
    fc.assert(
      fc.property(patterns, fc.array(characters, { maxLength: 8 }), (pattern, text) => {
        expect(matches(pattern.join(""), text.join(""))).toBe(oracle(pattern, text));
      }),
      { numRuns: 3000 },
    );
  });

  it("agree with the definition past the width of a machine word", () => {
    const pattern = `${"a?".repeat(40)}*b`;
    expect(matches(pattern, `${"ax".repeat(40)}b`)).toBe(true);
    expect(matches(pattern, `${"ax".repeat(40)}yyyb`)).toBe(true);
    expect(matches(pattern, `${"ax".repeat(39)}b`)).toBe(false);
    expect(matches("?".repeat(31), "x".repeat(31))).toBe(true);
    expect(matches("?".repeat(32), "x".repeat(32))).toBe(true);
    expect(matches("?".repeat(33), "x".repeat(32))).toBe(false);
    expect(matches(`${"?".repeat(32)}*`, "x".repeat(32))).toBe(true);
    expect(matches(`${"?".repeat(64)}*?`, "x".repeat(64))).toBe(false);
  });

  it("hole: a pattern that makes others go back and forth ends at once", () => {
    const text = "a".repeat(16_000);
    expect(matches(`${"*a".repeat(2_000)}*b`, text)).toBe(false);
    expect(matches(`${"*a?".repeat(300)}*b`, text)).toBe(false);
    expect(matches(`*${"a?".repeat(300)}b*`, text)).toBe(false);
  });

  it("can begin with a text: as the definition says of some longer text", () => {
    expect(globCanBegin(globTokens("b*"), "b/")).toBe(true);
    expect(globCanBegin(globTokens("b"), "b/")).toBe(false);
    expect(globCanBegin(globTokens("b/x"), "b/")).toBe(true);
    expect(globCanBegin(globTokens("?/"), "b/")).toBe(true);
    expect(globCanBegin(globTokens("*c/x"), "b/")).toBe(true);
    expect(globCanBegin(globTokens("c*"), "b/")).toBe(false);
  });
});

function plain(value: Json): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) {
    const object: Record<string, unknown> = {};
    for (const [name, member] of value) {
      Object.defineProperty(object, name, {
        value: plain(member),
        enumerable: true,
        configurable: true,
        writable: true,
      });
    }
    return object;
  }
  return value;
}

describe("JSON of policies", () => {
  it("any JSON: as JSON.parse reads it", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), fc.constantFrom(undefined, 1, "\t"), (value, indent) => {
        const text = JSON.stringify(value, undefined, indent);
        expect(plain(parsePolicyJson(text))).toEqual(JSON.parse(text));
      }),
      { numRuns: 1000 },
    );
  });

  it("any text: refused where JSON.parse refuses", () => {
    const pieces = fc.constantFrom(..."{}[]:,\"\\ \n\t0-1.eE+truefalsnlux'/\u0000");
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        const text = parts.join("");
        let parsed: unknown;
        try {
          parsed = JSON.parse(text);
        } catch {
          expect(() => parsePolicyJson(text)).toThrow();
          return;
        }
        // Only names that are there twice are refused beyond that.
        try {
          expect(plain(parsePolicyJson(text))).toEqual(parsed);
        } catch (error) {
          expect((error as Error).message).toContain("is there twice");
        }
      }),
      { numRuns: 5000 },
    );
  });

  it.each([
    ['{"a":1,"a":2}', '"a" is there twice'],
    ['{"a":1,"\\u0061":2}', '"a" is there twice'],
    ["[".repeat(40), "nested more than 16 deep"],
    ['{"a":1}x', "unexpected text at character 8"],
    ["", "unexpected text at character 1"],
    ['"\u0001"', "unexpected text at character 1"],
    ["[01]", "unexpected text at character 2"],
    ["[1,]", "unexpected text at character 4"],
    ['{"a":1,}', "unexpected text at character 8"],
  ])("%s: %s", (text, message) => {
    expect(() => parsePolicyJson(text)).toThrow(message);
  });

  it("hole: names of prototypes are names like any other", () => {
    const document = parsePolicyJson('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}');
    expect([...(document as ReadonlyMap<string, Json>).keys()]).toEqual(["__proto__", "constructor"]);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });
});
