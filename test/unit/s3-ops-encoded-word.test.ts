import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeWords, isHeaderValue } from "../../objectstore/http/encoded-word.js";

/** RFC 2047, for UTF-8 in base64. */
function decodeWords(text: string): string {
  const joined = text.replace(/\?= +=\?/g, "?==?");
  return joined.replace(/=\?UTF-8\?B\?([A-Za-z0-9+/=]*)\?=/g, (_all, base64: string) =>
    Buffer.from(base64, "base64").toString("utf8"),
  );
}

describe("user metadata on its way out", () => {
  it("printable ASCII: as it is", () => {
    expect(encodeWords("Hello, world: 100% =)")).toBe("Hello, world: 100% =)");
  });

  it("latin1 bytes as they came in: what Amazon's page shows for them", () => {
    const asItCame = Buffer.from("ÄMÄZÕÑ S3", "utf8").toString("latin1");
    expect(encodeWords(asItCame)).toBe("=?UTF-8?B?w4PChE3Dg8KEWsODwpXDg8KRIFMz?=");
  });

  it("a line end: encoded, so that it cannot end the header", () => {
    expect(encodeWords("a\r\nx-evil: 1")).toMatch(/^=\?UTF-8\?B\?[A-Za-z0-9+/=]+\?=$/);
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

describe("values that a header can carry", () => {
  it.each(["", "text/plain", "tab\tinside", "caf\u00e9"])("%j: yes", (value) => {
    expect(isHeaderValue(value)).toBe(true);
  });

  it.each(["a\r\nb", "a\nb", "a\u0000b", "a\u007fb", "日本"])("%j: no", (value) => {
    expect(isHeaderValue(value)).toBe(false);
  });
});
