import { describe, expect, it } from "vitest";
import { parseOmap } from "../../src/engines/ceph/cephfs/omap-text.js";

/** As `rados listomapvals` of Ceph 16.2.15 printed it. */
const LISTED = `k1
value (134 bytes) :
00000000  7b 22 76 22 3a 31 2c 22  6e 61 6d 65 22 3a 22 61  |{"v":1,"name":"a|
00000010  62 63 61 62 63 61 62 63  61 62 63 61 62 63 61 62  |bcabcabcabcabcab|
00000020  63 61 62 63 61 62 63 61  62 63 61 62 63 61 62 63  |cabcabcabcabcabc|
00000030  61 62 63 61 62 63 61 62  63 61 62 63 61 62 63 61  |abcabcabcabcabca|
00000040  62 63 61 61 61 61 61 61  61 61 61 61 61 61 61 61  |bcaaaaaaaaaaaaaa|
00000050  61 61 61 61 61 61 61 61  61 61 61 61 61 61 61 61  |aaaaaaaaaaaaaaaa|
*
00000080  61 61 61 61 22 7d                                 |aaaa"}|
00000086

k2
value (1 bytes) :
00000000  78                                                |x|
00000001

k3
value (0 bytes) :

`;

describe("parseOmap", () => {
  it("keys with their values, repeated lines and empty values too", () => {
    const values = parseOmap(LISTED);
    expect([...values.keys()]).toEqual(["k1", "k2", "k3"]);
    expect(values.get("k1")?.toString()).toBe(`{"v":1,"name":"a${"bca".repeat(17)}${"a".repeat(65)}"}`);
    expect(values.get("k2")?.toString()).toBe("x");
    expect(values.get("k3")?.toString()).toBe("");
  });

  it("a value alone, of getomapval, is under no key", () => {
    const text = "value (2 bytes) :\n00000000  68 69                                             |hi|\n00000002\n\n";
    expect(parseOmap(text)).toEqual(new Map([["", Buffer.from("hi")]]));
  });

  it("a line that is repeated to the very end", () => {
    const line = `${"61 ".repeat(8)} ${"61 ".repeat(8)}`;
    const text = `k\nvalue (48 bytes) :\n00000000  ${line} |aaaaaaaaaaaaaaaa|\n*\n00000030\n\n`;
    expect(parseOmap(text).get("k")?.toString()).toBe("a".repeat(48));
  });

  it("nothing of nothing, and what was cut off is an error", () => {
    expect(parseOmap("").size).toBe(0);
    expect(() => parseOmap(LISTED.slice(0, 200))).toThrow(/134/);
  });
});
