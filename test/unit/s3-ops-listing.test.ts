import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { contentsXml } from "../../objectstore/listing/entries.js";
import { checkOptionalAttributes, keyEncoding, pageLimit } from "../../objectstore/listing/parameters.js";
import { afterToken, continuationToken } from "../../objectstore/listing/token.js";

const code = (name: string) => expect.objectContaining({ code: name });
const query = (name: string, value: string) => new Map([[name, value]]);

describe("rule 22: continuation tokens", () => {
  it("any key: read back", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (key) => {
        expect(afterToken(continuationToken(key))).toBe(key);
      }),
    );
  });

  it.each(["", "1", "2YWJj", "1YWJj=", "1YW Jj", "1_w", "foo"])("%j: InvalidArgument", (token) => {
    expect(() => afterToken(token)).toThrow(code("InvalidArgument"));
  });

  it("any text: what was given out, or InvalidArgument", () => {
    fc.assert(
      fc.property(fc.string(), (token) => {
        try {
          expect(continuationToken(afterToken(token))).toBe(token);
        } catch (error) {
          expect(error).toMatchObject({ code: "InvalidArgument" });
        }
      }),
    );
  });
});

describe("rule 22: max-keys", () => {
  it.each([
    [undefined, 1000],
    ["", 1000],
    ["0", 0],
    ["1", 1],
    ["1000", 1000],
    ["1001", 1000],
    ["2147483647", 1000],
  ])("%s: %i", (text, limit) => {
    expect(pageLimit(text === undefined ? new Map() : query("max-keys", text), "max-keys")).toBe(limit);
  });

  it.each(["-1", "2147483648", "99999999999", "abc", "1.5", " 1", "1e2"])("%j: InvalidArgument", (text) => {
    expect(() => pageLimit(query("max-keys", text), "max-keys")).toThrow(code("InvalidArgument"));
  });
});

describe("rule 21: encoding-type", () => {
  it("url: keys percent encoded but for slashes; none: XML text", () => {
    const url = keyEncoding(query("encoding-type", "url"));
    expect(url.text("foo+1/b r&\u0001")).toBe("foo%2B1/b%20r%26%01");
    expect(url.element).toBe("<EncodingType>url</EncodingType>");
    expect(keyEncoding(new Map()).text("a&b")).toBe("a&amp;b");
  });

  it("another: InvalidArgument", () => {
    expect(() => keyEncoding(query("encoding-type", "base64"))).toThrow(code("InvalidArgument"));
  });
});

describe("a page's entries", () => {
  it("an object and a common prefix: elements in S3's order", () => {
    const entry = {
      key: "a<b",
      versionId: "null",
      isLatest: true,
      deleteMarker: false,
      lastModifiedMs: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
      etag: "abc",
      sizeBytes: 3,
      storageClass: "STANDARD",
      ownerId: "me",
      checksum: { algorithm: "CRC32", type: "FULL_OBJECT", value: "AAAAAA==" } as const,
      generation: "1",
    };
    const xml = contentsXml([{ entry }, { prefix: "p/" }], keyEncoding(new Map()), (id) => `<Owner>${id}</Owner>`);
    expect(xml).toBe(
      "<Contents><Key>a&lt;b</Key><LastModified>2026-01-02T03:04:05.006Z</LastModified><ETag>&quot;abc&quot;</ETag>" +
        "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType><Size>3</Size>" +
        "<Owner>me</Owner><StorageClass>STANDARD</StorageClass></Contents>" +
        "<CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes>",
    );
  });

  it("optional attributes: RestoreStatus alone", () => {
    const headers = (value: string) => new Map([["x-amz-optional-object-attributes", value]]);
    expect(() => checkOptionalAttributes(headers("RestoreStatus"))).not.toThrow();
    expect(() => checkOptionalAttributes(headers("Colour"))).toThrow(code("InvalidArgument"));
  });
});
