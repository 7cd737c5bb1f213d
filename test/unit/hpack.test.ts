import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { repairAuthority } from "../../src/runtime/hpack-authority.js";
import { decodeHuffman } from "../../src/runtime/hpack-huffman.js";
import { anyLiteral, type Field, huffman, integer, latin1, literal, string } from "./hpack-blocks.js";

const hex = (text: string) => Buffer.from(text.replace(/\s/g, ""), "hex");
const SOCKET = "/var/lib/kubelet/plugins/csi.granary.dev/csi.sock";
const REPAIRED = "-var-lib-kubelet-plugins-csi.granary.dev-csi.sock";

describe("decodeHuffman", () => {
  // RFC 7541 Appendix C.4 and C.6.
  it.each([
    ["f1e3 c2e5 f23a 6ba0 ab90 f4ff", "www.example.com"],
    ["a8eb 1064 9cbf", "no-cache"],
    ["25a8 49e9 5ba9 7d7f", "custom-key"],
    ["25a8 49e9 5bb8 e8b4 bf", "custom-value"],
    ["6402", "302"],
    ["aec3 771a 4b", "private"],
    ["d07a be94 1054 d444 a820 0595 040b 8166 e082 a62d 1bff", "Mon, 21 Oct 2013 20:13:21 GMT"],
    ["9d29 ad17 1863 c78f 0b97 c8e9 ae82 ae43 d3", "https://www.example.com"],
    ["9bd9 ab", "gzip"],
    [
      "94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
      "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
    ],
    ["", ""],
  ])("RFC 7541 Appendix C: %s is %j", (coded, text) => {
    expect(decodeHuffman(hex(coded))?.toString("latin1")).toBe(text);
  });

  it("every byte, alone and in any company, comes back", () => {
    for (let byte = 0; byte < 256; byte++) {
      const text = String.fromCharCode(byte);
      expect(decodeHuffman(huffman(text))?.toString("latin1")).toBe(text);
    }
    fc.assert(fc.property(latin1(0, 60), (text) => decodeHuffman(huffman(text))?.toString("latin1") === text));
  });

  // RFC 7541 section 5.2.
  it.each([
    ["the end of string", "ffff ffff"],
    ["a byte of padding", "f1e3 c2e5 f23a 6ba0 ab90 f4ff ff"],
    ["only a byte of padding", "ff"],
    ["padding with a zero", "a8eb 1064 9cbe"],
  ])("%s: malformed", (_what, coded) => expect(decodeHuffman(hex(coded))).toBeNull());

  it("is total: any bytes decode or are malformed", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const decoded = decodeHuffman(bytes);
        return decoded === null || huffman(decoded.toString("latin1")).equals(bytes);
      }),
    );
  });
});

const field = (change: Partial<Field>): Field => ({
  name: ":authority",
  value: SOCKET,
  indexing: "plain",
  nameIndex: 1,
  nameHuffman: false,
  valueHuffman: false,
  ...change,
});

describe("repairAuthority", () => {
  it.each(["added", "plain", "never"] as const)(
    "a %s literal, name and value in any coding: same indexing",
    (indexing) => {
      for (const [nameIndex, nameHuffman] of [
        [1, false],
        [0, false],
        [0, true],
      ] as const) {
        for (const valueHuffman of [false, true]) {
          const sent = field({ indexing, nameIndex, nameHuffman, valueHuffman });
          expect(repairAuthority(literal(sent))).toEqual(literal({ ...sent, value: REPAIRED, valueHuffman: false }));
        }
      }
    },
  );

  it("what RFC 3986 allows in an authority stays, byte for byte", () => {
    for (const value of ["localhost", "%2Fvar%2Fcsi.sock", "u:p@[::1]:80", "a-b._~!$&'()*+,;=:@[]%Z9"])
      for (const valueHuffman of [false, true])
        expect(repairAuthority(literal(field({ value, valueHuffman })))).toBeNull();
  });

  it("an empty value becomes localhost: static entry 1, and literals that are not added", () => {
    const localhost = literal(field({ value: "localhost" }));
    expect(repairAuthority(Buffer.of(0x81))).toEqual(localhost);
    expect(repairAuthority(literal(field({ value: "" })))).toEqual(localhost);
    expect(repairAuthority(literal(field({ value: "", indexing: "never" })))).toEqual(
      literal(field({ value: "localhost", indexing: "never" })),
    );
    // The client counts 42 bytes in its table; no other value of this name has that size.
    expect(repairAuthority(literal(field({ value: "", indexing: "added" })))).toBeNull();
  });

  it("any block: the authorities are repaired at their own length, every other byte stays", () => {
    const name = latin1(1, 200).filter((text) => text !== ":authority");
    const fields = fc.oneof(
      name.chain((text) => anyLiteral(text, latin1(0, 300))),
      anyLiteral(":authority", latin1(1, 300), 1),
      fc.integer({ min: 2, max: 400 }),
      fc.record({ tableSize: fc.integer({ min: 0, max: 5000 }) }),
    );
    const write = (one: Field | number | { tableSize: number }): Buffer => {
      if (typeof one === "number") return integer(0x80, 7, one);
      return "tableSize" in one ? integer(0x20, 5, one.tableSize) : literal(one);
    };
    fc.assert(
      fc.property(fc.array(fields, { maxLength: 12 }), (list) => {
        let repairs = 0;
        const expected = list.map((one) => {
          if (typeof one === "number" || "tableSize" in one || one.name !== ":authority") return one;
          const value = one.value.replace(/[^\w.~!$&'()*+,;=:@[\]%-]/g, "-");
          if (value === one.value) return one;
          repairs++;
          return { ...one, value, valueHuffman: false };
        });
        const repaired = repairAuthority(Buffer.concat(list.map(write)));
        if (repairs === 0) expect(repaired).toBeNull();
        else expect(repaired).toEqual(Buffer.concat(expected.map(write)));
      }),
    );
  });

  it("a block that ends in the middle of a field is left alone", () => {
    const tail = literal(field({ name: "x".repeat(300), nameIndex: 0, value: "v".repeat(300), valueHuffman: true }));
    const block = Buffer.concat([literal(field({})), tail]);
    expect(repairAuthority(block)).not.toBeNull();
    for (let cut = literal(field({})).length + 1; cut < block.length; cut++)
      expect(repairAuthority(block.subarray(0, cut))).toBeNull();
  });

  it.each([
    ["a length that never ends", "01 7f ff ff ff ff ff ff ff ff"],
    ["a length past the block", "01 7f ff ff ff 07"],
    ["a value that is no Huffman code", "01 84 ff ff ff ff"],
    ["nothing", ""],
  ])("%s: left alone", (_what, block) => expect(repairAuthority(hex(block))).toBeNull());

  it("is total: any bytes are repaired or left alone, and a repaired block needs no second repair", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const repaired = repairAuthority(Buffer.from(bytes));
        expect(repaired && repairAuthority(repaired)).toBeNull();
      }),
    );
  });

  it("a value of 16 KiB, its length in three bytes", () => {
    const long = field({ value: "/".repeat(16_384) });
    expect(repairAuthority(literal(long))).toEqual(Buffer.concat([Buffer.of(1), string("-".repeat(16_384), false)]));
  });
});
