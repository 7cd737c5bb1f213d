import fc from "fast-check";
import { SaxesParser } from "saxes";
import { describe, expect, it } from "vitest";
import { childOf, parseXml, textOf } from "../../objectstore/xml/read.js";
import {
  element,
  encodeKeyForUrl,
  errorXml,
  escapeXml,
  leaf,
  timeLeaf,
  xmlDocument,
} from "../../objectstore/xml/write.js";

/** Without lone surrogates, which no UTF-8 holds. */
const wellFormed = (text: string) => Buffer.from(text, "utf8").toString("utf8");

/** Text that XML 1.0 can carry. */
const xmlText = fc
  .string({ unit: "binary" })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what XML 1.0 cannot carry
  .map((text) => wellFormed(text).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "_"));

describe("escaping in XML answers", () => {
  it("any text that XML can carry: read back as it was", () => {
    fc.assert(
      fc.property(xmlText, (text) => {
        expect(parseXml(xmlDocument("R", leaf("Key", text))).children[0]?.text).toBe(text);
      }),
    );
  });

  it("markup in text: no element of it", () => {
    const parsed = parseXml(xmlDocument("R", leaf("Key", "</Key><Key>x</Key><!-- ]]> &amp;")));
    expect(parsed.children).toHaveLength(1);
    expect(parsed.children[0]?.text).toBe("</Key><Key>x</Key><!-- ]]> &amp;");
  });

  it("control characters: numeric references, as Amazon answers", () => {
    expect(escapeXml("a\u0001b\u001fc")).toBe("a&#x1;b&#x1f;c");
  });

  it("line ends: numeric references, so that no parser folds them", () => {
    expect(escapeXml("a\r\nb")).toBe("a&#13;&#10;b");
    expect(parseXml(`<a>${escapeXml("a\r\nb\rc")}</a>`).text).toBe("a\r\nb\rc");
  });

  it("text without special characters: the same string", () => {
    expect(escapeXml("photos/2026/ä😀.jpg")).toBe("photos/2026/ä😀.jpg");
  });
});

describe("XML documents", () => {
  it("elements: in the order of the calls, in S3's namespace", () => {
    expect(xmlDocument("R", leaf("B", 2), element("A", leaf("C", true)), timeLeaf("T", 0))).toBe(
      '<?xml version="1.0" encoding="UTF-8"?>\n<R xmlns="http://s3.amazonaws.com/doc/2006-03-01/">' +
        "<B>2</B><A><C>true</C></A><T>1970-01-01T00:00:00.000Z</T></R>",
    );
  });
});

describe("error documents", () => {
  const error = { code: "NoSuchKey", message: "m", resource: "/b/k", requestId: "r", hostId: "h" };

  it("elements: code, message, fields, resource, request id, host id", () => {
    expect(errorXml({ ...error, fields: { Key: "a&b" } })).toBe(
      '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code><Message>m</Message><Key>a&amp;b</Key>' +
        "<Resource>/b/k</Resource><RequestId>r</RequestId><HostId>h</HostId></Error>",
    );
  });

  it("any text in message, field or resource: a strict parser reads it", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (message, key) => {
        const text = wellFormed(errorXml({ ...error, message, resource: key, fields: { Key: key } }));
        const parser = new SaxesParser();
        parser.write(text).close();
        expect(childOf(parseXml(text), "Key")).toBeDefined();
        expect(textOf(parseXml(text), "Code")).toBe("NoSuchKey");
      }),
    );
  });
});

describe("encoding-type=url", () => {
  it.each([
    ["test_file(3).png", "test_file%283%29.png"],
    ["a b+c/d", "a%20b%2Bc/d"],
    ["ä/😀", "%C3%A4/%F0%9F%98%80"],
    ["a\u0001\r\n", "a%01%0D%0A"],
    ["-._~", "-._~"],
    ["'!*%", "%27%21%2A%25"],
    ["", ""],
  ])("%j: %j", (key, encoded) => {
    expect(encodeKeyForUrl(key)).toBe(encoded);
  });

  it("any key: decoded back by decodeURIComponent", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary" }).map((text) => wellFormed(text)),
        (key) => {
          expect(decodeURIComponent(encodeKeyForUrl(key))).toBe(key);
        },
      ),
    );
  });
});
