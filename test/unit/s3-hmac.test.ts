import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HmacKey } from "../../objectstore/auth/hmac.js";
import { formatTimestamp, parseTimestamp } from "../../objectstore/auth/time.js";

describe("HmacKey", () => {
  it("RFC 4231, test case 2", () => {
    const hmac = new HmacKey(Buffer.from("Jefe")).sign("what do ya want for nothing?");
    expect(hmac).toBe("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  });

  it("any key of up to 64 bytes, any text, short after long: as crypto's", () => {
    const text = fc.uint8Array({ maxLength: 5000 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.array(text, { minLength: 1, maxLength: 3 }), (key, texts) => {
        const own = new HmacKey(Buffer.from(key));
        for (const one of texts) {
          expect(own.sign(one)).toBe(createHmac("sha256", key).update(one, "latin1").digest("hex"));
        }
      }),
    );
  });

  it("a longer key: RangeError", () => {
    expect(() => new HmacKey(Buffer.alloc(65))).toThrow(RangeError);
  });
});

describe("SigV4's timestamps", () => {
  it("any second from 1970 to 9999: there and back", () => {
    const seconds = fc.integer({ min: 0, max: Date.UTC(9999, 11, 31) / 1000 });
    fc.assert(
      fc.property(seconds, (s) => {
        expect(parseTimestamp(formatTimestamp(s * 1000))).toBe(s * 1000);
      }),
    );
  });

  it.each([
    "",
    "20130524",
    "20130524T000000",
    "20130524T000000z",
    "20130230T000000Z",
    "20130500T000000Z",
    "20131301T000000Z",
    "20130524T240000Z",
    "20130524T006000Z",
    "20130524T000060Z",
    "00130524T000000Z",
    " 20130524T000000Z",
    "20130524T000000Z\n",
  ])("%j: none", (text) => {
    expect(parseTimestamp(text)).toBeUndefined();
  });
});
