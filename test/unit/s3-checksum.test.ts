import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CHECKSUM_ALGORITHMS } from "../../src/model/object.js";
import {
  CHECKSUM_BYTES,
  checksumOf,
  combineChecksums,
  compositeChecksum,
  isChecksum,
  isCombinable,
  newChecksum,
} from "../../src/runtime/checksum/checksum.js";
import { FOLDS, INPUT_BYTES } from "../../src/runtime/checksum/crc-module.js";

const CHECK = Buffer.from("123456789");
const COMBINABLE = CHECKSUM_ALGORITHMS.filter(isCombinable);

const base64 = (hex: string): string => Buffer.from(hex, "hex").toString("base64");

/** CRCs bit by bit, to hold the tables against. */
function slowCrc(bits: 32 | 64, polynomial: bigint, bytes: Uint8Array): string {
  const ones = (1n << BigInt(bits)) - 1n;
  let crc = ones;
  for (const byte of bytes) {
    crc ^= BigInt(byte);
    for (let bit = 0; bit < 8; bit++) crc = (crc >> 1n) ^ ((crc & 1n) * polynomial);
  }
  return base64((crc ^ ones).toString(16).padStart(bits / 4, "0"));
}

function pseudoRandom(length: number): Uint8Array {
  let state = 1;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  });
}

describe("checksums", () => {
  it.each([
    ["CRC32", "cbf43926"],
    ["CRC32C", "e3069283"],
    ["CRC64NVME", "ae8b14860a799888"],
    ["SHA1", "f7c3bc1d808e04732adf679965ccc34ca7ae3441"],
    ["SHA256", "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"],
  ] as const)("%s of 123456789: the published value", (algorithm, hex) => {
    expect(checksumOf(algorithm, CHECK)).toBe(base64(hex));
  });

  it.each(CHECKSUM_ALGORITHMS)("%s of no bytes: the same streamed and at once", (algorithm) => {
    expect(newChecksum(algorithm).digest()).toBe(checksumOf(algorithm, Buffer.alloc(0)));
  });

  it("CRC32C of 32 zeros and of 32 ones: RFC 3720's values", () => {
    expect(checksumOf("CRC32C", Buffer.alloc(32))).toBe(base64("8a9136aa"));
    expect(checksumOf("CRC32C", Buffer.alloc(32, 0xff))).toBe(base64("62a8ab43"));
  });

  it("any bytes: as a CRC computed bit by bit", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(checksumOf("CRC32", bytes)).toBe(slowCrc(32, 0xedb88320n, bytes));
        expect(checksumOf("CRC32C", bytes)).toBe(slowCrc(32, 0x82f63b78n, bytes));
        expect(checksumOf("CRC64NVME", bytes)).toBe(slowCrc(64, 0x9a6c9329ac4bc9b5n, bytes));
      }),
    );
  });

  it.each(CHECKSUM_ALGORITHMS)("%s in any pieces, two at once: the same as whole", (algorithm) => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 70 })), (pieces) => {
        const running = newChecksum(algorithm);
        const other = newChecksum(algorithm);
        for (const piece of pieces) {
          running.update(piece);
          other.update(Buffer.from([1, 2, 3]));
        }
        expect(running.digest()).toBe(checksumOf(algorithm, Buffer.concat(pieces)));
      }),
    );
  });

  it("long ones, of any length and in any long pieces: as a CRC computed bit by bit", () => {
    const bytes = Buffer.from(pseudoRandom(40_000));
    const [whole32, whole64] = [slowCrc(32, 0x82f63b78n, bytes), slowCrc(64, 0x9a6c9329ac4bc9b5n, bytes)];
    expect([checksumOf("CRC32C", bytes), checksumOf("CRC64NVME", bytes)]).toEqual([whole32, whole64]);
    fc.assert(
      fc.property(fc.array(fc.nat(20_000), { maxLength: 4 }), (lengths) => {
        for (const [algorithm, whole] of [
          ["CRC32C", whole32],
          ["CRC64NVME", whole64],
        ] as const) {
          const running = newChecksum(algorithm);
          let at = 0;
          for (const length of [...lengths, bytes.length]) {
            running.update(bytes.subarray(at, at + length));
            at = Math.min(bytes.length, at + length);
          }
          expect(running.digest()).toBe(whole);
        }
      }),
    );
  });

  it.each([32, 64] as const)(
    "folding, %s bits: the words at its distances are a multiple of the polynomial",
    (bits) => {
      const algorithm = bits === 32 ? "CRC32C" : "CRC64NVME";
      const last = FOLDS[bits].at(-1) as number;
      const message = Buffer.alloc(8 * (last + 1));
      const zeros = checksumOf(algorithm, message);
      for (const word of [0, ...FOLDS[bits]]) message[word * 8] = 0x5a;
      expect(checksumOf(algorithm, message)).toBe(zeros);
      message[8] = 1;
      expect(checksumOf(algorithm, message)).not.toBe(zeros);
    },
  );

  it("more bytes than WebAssembly is given at once: the same as in pieces", () => {
    const bytes = Buffer.alloc(INPUT_BYTES * 2 + 17, "granary");
    for (const algorithm of ["CRC32C", "CRC64NVME"] as const) {
      const running = newChecksum(algorithm);
      for (let at = 0; at < bytes.length; at += 9973) running.update(bytes.subarray(at, at + 9973));
      expect(checksumOf(algorithm, bytes)).toBe(running.digest());
    }
  });
});

describe("checksums of multipart objects", () => {
  it.each(COMBINABLE)("%s FULL_OBJECT: from the parts' own, whatever their sizes", (algorithm) => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), (pieces) => {
        const parts = pieces.map((piece) => ({ value: checksumOf(algorithm, piece), sizeBytes: piece.length }));
        expect(combineChecksums(algorithm, parts)).toBe(checksumOf(algorithm, Buffer.concat(pieces)));
      }),
    );
  });

  it("parts of over 4 GiB: the length counts beyond 32 bits", () => {
    const one = { value: checksumOf("CRC64NVME", Buffer.alloc(1)), sizeBytes: 1 };
    const zerosOf = (sizeBytes: number): string => {
      let whole = one;
      for (; whole.sizeBytes < sizeBytes; ) {
        const value = combineChecksums("CRC64NVME", [whole, whole]);
        whole = { value, sizeBytes: whole.sizeBytes * 2 };
      }
      return whole.value;
    };
    const half = { value: zerosOf(2 ** 35), sizeBytes: 2 ** 35 };
    expect(combineChecksums("CRC64NVME", [half, half])).toBe(zerosOf(2 ** 36));
    const other = { value: checksumOf("CRC64NVME", Buffer.from("x")), sizeBytes: 1 };
    expect(combineChecksums("CRC64NVME", [other, half])).not.toBe(combineChecksums("CRC64NVME", [half, other]));
  });

  it("COMPOSITE: the checksum of the raw checksums, and the count", () => {
    const values = ["a", "b", "c"].map((text) => checksumOf("SHA256", Buffer.from(text)));
    const raw = Buffer.concat(values.map((value) => Buffer.from(value, "base64")));
    expect(compositeChecksum("SHA256", values)).toBe(`${createHash("sha256").update(raw).digest("base64")}-3`);
  });

  it("a value of another algorithm: RangeError", () => {
    const value = checksumOf("CRC32", CHECK);
    expect(() => compositeChecksum("SHA1", [value])).toThrow(RangeError);
    expect(() => combineChecksums("CRC64NVME", [{ value, sizeBytes: 9 }])).toThrow(RangeError);
  });
});

describe("isChecksum", () => {
  it.each(CHECKSUM_ALGORITHMS)("%s: base64 of its exact length alone", (algorithm) => {
    const value = Buffer.alloc(CHECKSUM_BYTES[algorithm], 1).toString("base64");
    expect(isChecksum(algorithm, value)).toBe(true);
    for (const wrong of [
      "",
      `${value}=`,
      ` ${value}`,
      value.slice(0, -4),
      `AAAA${value}`,
      value.replace("A", "_"),
      "%%%%",
    ])
      expect(isChecksum(algorithm, wrong)).toBe(false);
  });
});
