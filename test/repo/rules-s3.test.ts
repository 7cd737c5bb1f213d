import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";

const root = path.resolve(import.meta.dirname, "../..");
const RULES = 31;
const HOLES = [
  "signature skipped for one credential kind",
  "unsigned x-amz header trusted",
  "client-supplied internal header",
  "POST policy unenforced",
  "copy source not authorized",
  "GetObject checked where GetObjectVersion was due",
  "bulk delete not authorized per key",
  "tag, lock or ACL headers on PUT not authorized",
  "path traversal by key, copy source or archive",
  "one string decoded differently by authorization and storage",
  "explicit deny, wildcard, NotAction, IfExists, ForAllValues semantics",
  "source IP from an untrusted header",
  "default or derived secrets",
  "secrets (SSE-C keys, tokens) in logs",
  "SSE answered but not done",
  "object lock failing open",
  "CORS reflecting any origin with credentials",
  "CRLF in echoed headers",
  "metrics or admin without authentication",
  "user enumeration by timing",
  "prototype pollution by metadata, tag or XML names",
  "unbounded XML, headers, parts or chunk sizes",
];

/** The titles of every test and describe of the object store. */
function titles(): string[] {
  const files = ["test/s3", "test/unit"].flatMap((folder) =>
    readdirSync(path.join(root, folder))
      .filter((name) => name.endsWith(".test.ts") && (folder === "test/s3" || name.startsWith("s3-")))
      .map((name) => path.join(root, folder, name)),
  );
  return files.flatMap((file) =>
    [...readFileSync(file, "utf8").matchAll(/^[^/"]*[\s.)(]\s*"((?:rules? [\d, ]+|hole): [^"]+)"/gm)].map(
      (match) => match[1] ?? "",
    ),
  );
}

/** `rule 4: ...` and `rules 11, 12: ...` name rules. */
function rulesNamedBy(title: string): number[] {
  const named = /^rules? ([\d, ]+):/.exec(title)?.[1] ?? "";
  return named
    .split(",")
    .filter((part) => part.trim() !== "")
    .map(Number);
}

describe("S3's rules that are easy to miss", () => {
  it("each of the 31 is named by a test", () => {
    const named = new Set(titles().flatMap(rulesNamedBy));
    const all = Array.from({ length: RULES }, (_unused, i) => i + 1);
    expect(all.filter((rule) => !named.has(rule))).toEqual([]);
    expect([...named].filter((rule) => !all.includes(rule))).toEqual([]);
  });

  it("each class of hole is named by a test", () => {
    const found = titles();
    expect(HOLES.filter((hole) => !found.some((title) => title.startsWith(`hole: ${hole}`)))).toEqual([]);
  });

  it("reads titles, not any text", () => {
    expect(rulesNamedBy("rules 4, 5: smaller")).toEqual([4, 5]);
    expect(rulesNamedBy("as rule 4 says")).toEqual([]);
  });
});
