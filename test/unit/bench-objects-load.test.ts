import { describe, expect, it } from "vitest";
import { bodiesOf } from "../bench/objects/bodies.js";
import { parseListPage } from "../bench/objects/list-page.js";
import { BIG_FOLDER, BIG_FOLDER_KEYS, keyName, ROOT_PREFIXES } from "../bench/objects/load-job.js";
import { parseStat, treeCpuSeconds, treeMemory } from "../bench/objects/process-tree.js";
import { sha256Hex } from "../bench/objects/sigv4.js";

describe("bodies", () => {
  it("are of the size, differ, carry their hash, and are the same in every process", () => {
    const [first, second] = [bodiesOf(4097)(0), bodiesOf(4097)(1)];
    expect(first.data.length).toBe(4097);
    expect(first.data.equals(second.data)).toBe(false);
    expect(first.sha256).toBe(sha256Hex(first.data));
    expect(bodiesOf(4097)(64).data.equals(first.data)).toBe(true);
  });

  it("of no bytes", () => {
    expect(bodiesOf(0)(7).data.length).toBe(0);
  });
});

describe("a bucket to list", () => {
  it("has 1,000 common prefixes, one of them with 1,000 keys, at every size", () => {
    for (const keys of [10_000, 30_000]) {
      const names = Array.from({ length: keys }, (_, i) => keyName("listing", i));
      expect(new Set(names).size).toBe(keys);
      expect(new Set(names.map((name) => name.slice(0, name.indexOf("/")))).size).toBe(ROOT_PREFIXES);
      expect(names.filter((name) => name.startsWith(BIG_FOLDER)).length).toBe(BIG_FOLDER_KEYS);
    }
  });
});

describe("a page of a listing", () => {
  const page = (inner: string) => `<?xml version="1.0"?>\n<ListBucketResult>${inner}</ListBucketResult>\n`;

  it("counts keys and common prefixes, and unescapes the token", () => {
    const xml = page(
      "<IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b&#x3C;&#62;</NextContinuationToken>" +
        "<Contents><Key>x</Key></Contents><Contents><Key>y</Key></Contents><CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes>",
    );
    expect(parseListPage(xml)).toEqual({ keys: 2, commonPrefixes: 1, nextToken: "a&b<>" });
  });

  it("the last one has no token", () => {
    expect(parseListPage(page("<IsTruncated>false</IsTruncated>"))).toEqual({
      keys: 0,
      commonPrefixes: 0,
      nextToken: undefined,
    });
  });

  it("cut short, or truncated without a token: an error", () => {
    expect(() => parseListPage("<ListBucketResult>")).toThrow(/no whole/);
    expect(() => parseListPage(page("<IsTruncated>true</IsTruncated>"))).toThrow(/without a token/);
  });
});

describe("what a process used", () => {
  it("/proc/PID/stat with a name that has spaces and parentheses", () => {
    const text = "4242 (a) b (c) S 17 4242 1 0 -1 4194560 100 0 0 0 150 50 25 75 20 0 5 0 99 1 2 3";
    expect(parseStat(text)).toEqual({ pid: 4242, parent: 17, cpuSeconds: 3 });
  });

  it("this process has used CPU and memory", () => {
    expect(treeCpuSeconds(process.pid)).toBeGreaterThan(0);
    const { pssMib, anonymousMib } = treeMemory(process.pid);
    expect(pssMib).toBeGreaterThan(anonymousMib);
    expect(anonymousMib).toBeGreaterThan(1);
  });

  it("a process that is gone has used nothing", () => {
    expect(treeCpuSeconds(2 ** 22 + 1)).toBe(0);
  });
});
