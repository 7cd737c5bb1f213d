import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";

const root = path.resolve(import.meta.dirname, "../..");
const RULES = 37;

/** The titles of every `it(` and `it.each(...)(` of the CSI tests, and of the suites that run on every engine. */
function titles(): string[] {
  const folder = path.join(root, "test/root");
  return readdirSync(folder)
    .filter((name) => /^csi-.*\.test\.ts$|-suite\.ts$/.test(name))
    .flatMap((name) => {
      const text = readFileSync(path.join(folder, name), "utf8");
      return [...text.matchAll(/\b(?:it|it\.each\([\s\S]*?\))\(\s*"([^"]+)"/g)].map((match) => match[1] ?? "");
    });
}

/** `rule 4: ...` and `rules 34, 35, 36: ...` name rules. */
function rulesNamedBy(title: string): number[] {
  const named = /^rules? ([\d, ]+):/.exec(title)?.[1] ?? "";
  return named
    .split(",")
    .filter((part) => part.trim() !== "")
    .map(Number);
}

describe("CSI's rules that are easy to miss", () => {
  it("each of the 37 is named by a test", () => {
    const named = new Set(titles().flatMap(rulesNamedBy));
    const all = Array.from({ length: RULES }, (_unused, i) => i + 1);
    expect(all.filter((rule) => !named.has(rule))).toEqual([]);
    expect([...named].filter((rule) => !all.includes(rule))).toEqual([]);
  });

  it("reads titles, not any text", () => {
    expect(rulesNamedBy("rules 4, 5: smaller")).toEqual([4, 5]);
    expect(rulesNamedBy("as rule 4 says")).toEqual([]);
  });
});
