import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeWords, encodeWords, isHeaderValue } from "../../objectstore/http/encoded-word.js";

describe("user metadata on its way out", () => {
  it("printable ASCII: as it is", () => {
    expect(encodeWords("Hello, world: 100% =)")).toBe("Hello, world: 100% =)");
  });

  it("latin1 bytes as they came in: what Amazon's page shows for them", () => {
    const asItCame = Buffer.from("ÄMÄZÕÑ S3", "utf8").toString("latin1");
    expect(encodeWords(asItCame)).toBe("=?UTF-8?B?w4PChE3Dg8KEWsODwpXDg8KRIFMz?=");
  });

  it("mostly ASCII: Q encoded", () => {
    expect(encodeWords("ÄMÄZÕÑ S3")).toBe("=?UTF-8?Q?=C3=84M=C3=84Z=C3=95=C3=91_S3?=");
    expect(encodeWords("a=b_c?é")).toBe("=?UTF-8?Q?a=3Db=5Fc=3F=C3=A9?=");
  });

  it("a line end: encoded, so that it cannot end the header", () => {
    expect(encodeWords("a\r\nx-evil: 1")).toBe("=?UTF-8?Q?a=0D=0Ax-evil:_1?=");
  });

  it("any text: words of 75 characters at most that a decoder reads back, and that a header can carry", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1, maxLength: 300 }), (text) => {
        const encoded = encodeWords(text);
        expect(isHeaderValue(encoded)).toBe(true);
        if (encoded === text) return;
        expect(decodeWords(encoded)).toBe(text);
        for (const word of encoded.split(" ")) expect(word.length).toBeLessThanOrEqual(75);
      }),
    );
  });
});

describe("user metadata on its way in", () => {
  it.each([
    ["=?UTF-8?B?YWJj?=", "abc"],
    ["=?utf-8?q?a_b=20c=C3=A9?=", "a b cé"],
    ["=?ISO-8859-1?Q?caf=E9?=", "café"],
    ["x =?UTF-8?Q?a?= =?UTF-8?Q?b?= y", "x ab y"],
    ["plain", "plain"],
    ["=?UTF-7?Q?a?=", "=?UTF-7?Q?a?="],
    ["=?UTF-8?Q?a=zz?=", "=?UTF-8?Q?a=zz?="],
    ["=?UTF-8?B?a*b?=", "=?UTF-8?B?a*b?="],
    ["=?UTF-8?Q?open", "=?UTF-8?Q?open"],
  ])("%j is kept as %j", (value, kept) => {
    expect(decodeWords(value)).toBe(kept);
  });

  it("any text: decoded, it can be encoded again and comes back", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const once = decodeWords(text);
        expect(isHeaderValue(encodeWords(once))).toBe(true);
      }),
    );
  });
});

describe("values that a header can carry", () => {
  it.each(["", "text/plain", "tab\tinside", "caf\u00e9"])("%j: yes", (value) => {
    expect(isHeaderValue(value)).toBe(true);
  });

  it.each(["a\r\nb", "a\nb", "a\u0000b", "a\u007fb", "日本"])("%j: no", (value) => {
    expect(isHeaderValue(value)).toBe(false);
  });
});
