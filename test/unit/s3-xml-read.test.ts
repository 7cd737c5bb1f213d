import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { expectChildren, parseDocument, parseXml, type XmlElement } from "../../objectstore/xml/read.js";
import { S3Error } from "../../src/errors/s3-error.js";

function outcome(text: string): XmlElement | string {
  try {
    return parseXml(text);
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
}

describe("XML of requests", () => {
  it.each([
    ["S3's namespace", '<A xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><B>x</B></A>'],
    ["no namespace", "<A><B>x</B></A>"],
    ["a prefix", '<s:A xmlns:s="http://s3.amazonaws.com/doc/2006-03-01/"><s:B>x</s:B></s:A>'],
    [
      "a declaration, a byte order mark and a comment",
      '\ufeff<?xml version="1.0" encoding="UTF-8"?>\n<!-- c --><A><B>x</B></A>\n',
    ],
    ["CDATA", "<A><B><![CDATA[x]]></B></A>"],
  ])("%s: the same tree", (_, text) => {
    const parsed = parseXml(text);
    expect([parsed.name, parsed.children[0]?.name, parsed.children[0]?.text]).toEqual(["A", "B", "x"]);
  });

  it("attributes: by name as written", () => {
    const parsed = parseXml('<G xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group"/>');
    expect(parsed.attributes.get("xsi:type")).toBe("Group");
  });

  it("the five entities and numeric references: their characters", () => {
    expect(parseXml("<A>&lt;&gt;&amp;&quot;&apos;&#65;&#x1F600;</A>").text).toBe("<>&\"'A😀");
  });

  it.each([
    ["empty", ""],
    ["blank", "  \n"],
    ["not XML", "{}"],
    ["a tag left open", "<A><B></B>"],
    ["tags crossed", "<A><B></A></B>"],
    ["two roots", "<A/><B/>"],
    ["text after the root", "<A/>x"],
    ["an attribute twice", '<A a="1" a="2"/>'],
    ["an unbound prefix", "<x:A/>"],
    ["an unknown entity", "<A>&nbsp;</A>"],
    ["an entity named like a property of objects", "<A>&constructor;&__proto__;</A>"],
    ["a character that XML cannot carry", "<A>\u0001</A>"],
    ["a reference to one", "<A>&#x1;</A>"],
    ["a processing instruction", "<?php x?><A/>"],
    ["a stylesheet", '<?xml version="1.0"?><?xml-stylesheet href="x"?><A/>'],
    ["another encoding", '<?xml version="1.0" encoding="ISO-8859-1"?><A/>'],
    ["a document type", "<!DOCTYPE A><A/>"],
    ["an external entity", '<!DOCTYPE A [<!ENTITY x SYSTEM "file:///etc/passwd">]><A>&x;</A>'],
  ])("%s: MalformedXML", (_, text) => {
    expect(outcome(text)).toBe("MalformedXML");
  });

  it("another root than the operation's: MalformedXML", () => {
    expect(() => parseDocument("<B/>", "A")).toThrow(
      expect.objectContaining({ code: "MalformedXML", fields: { Detail: "the root element is not A" } }),
    );
  });

  it("any text: a tree or MalformedXML, never another error", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
        outcome(text);
      }),
    );
  });

  it("any bytes: a tree or MalformedXML, never another error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        outcome(Buffer.from(bytes).toString("utf8"));
        outcome(Buffer.from(bytes).toString("latin1"));
      }),
    );
  });

  it("any jumble of XML's own pieces: a tree or MalformedXML, never another error", () => {
    const piece = fc.constantFrom(
      "<",
      ">",
      "</",
      "/>",
      "<A>",
      "</A>",
      "<A",
      "<x:A",
      " xmlns=''",
      " xmlns:x='u'",
      " a='b'",
      "&",
      "&amp;",
      "&#",
      "&#x0;",
      "&#xD800;",
      ";",
      "<![CDATA[",
      "]]>",
      "<!--",
      "-->",
      "<!DOCTYPE",
      "[",
      "]",
      "<!ENTITY a 'b'>",
      "<?",
      "?>",
      "<?xml version='1.0'?>",
      "<?xml version='1.1'?>",
      "\ud800",
      "\udc00",
      "\ufeff",
      "\r",
      "\u0085",
      "text",
      "'",
      '"',
      "=",
      "__proto__",
      "\u0000",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        outcome(pieces.join(""));
      }),
      { numRuns: 2000 },
    );
  });
});

describe("hole: unbounded XML", () => {
  it("nesting of 100,000: MalformedXML", () => {
    expect(outcome("<A>".repeat(100_000))).toBe("MalformedXML");
    expect(outcome("<A>".repeat(100_000) + "</A>".repeat(100_000))).toBe("MalformedXML");
  });

  it("a billion laughs: MalformedXML before one is expanded", () => {
    let entities = '<!ENTITY l0 "lol">';
    for (let level = 1; level < 10; level += 1) entities += `<!ENTITY l${level} "${`&l${level - 1};`.repeat(10)}">`;
    expect(outcome(`<!DOCTYPE A [${entities}]><A>&l9;</A>`)).toBe("MalformedXML");
  });

  it("more elements than allowed: MalformedXML", () => {
    expect(outcome(`<A>${"<B/>".repeat(100_001)}</A>`)).toBe("MalformedXML");
  });

  it("10,000 attributes: MalformedXML", () => {
    const attributes = Array.from({ length: 10_000 }, (_, index) => ` a${index}="x"`).join("");
    expect(outcome(`<A${attributes}/>`)).toBe("MalformedXML");
  });

  it("longer than allowed, with one attribute of all of it: MalformedXML", () => {
    expect(outcome(`<A a="${"x".repeat(9 * 1024 ** 2)}"/>`)).toBe("MalformedXML");
  });

  it("an error about a name of a megabyte: a short message", () => {
    expect(() => parseXml(`<A><${"b".repeat(1024 ** 2)}></A>`)).toThrow(/^.{1,400}$/s);
  });
});

describe("hole: prototype pollution by XML names", () => {
  it("elements and attributes named like properties of objects: kept as any other, nothing else changes", () => {
    const parsed = parseXml('<A><__proto__ polluted="yes" __proto__="x"><constructor>y</constructor></__proto__></A>');
    expect(parsed.children[0]?.name).toBe("__proto__");
    expect(parsed.children[0]?.attributes.get("__proto__")).toBe("x");
    expect(parsed.children[0]?.children[0]?.text).toBe("y");
    expect(Object.hasOwn(Object.prototype, "polluted")).toBe(false);
  });

  it("an unexpected element named __proto__: MalformedXML", () => {
    expect(() => expectChildren(parseXml("<A><__proto__/></A>"), ["B"])).toThrow(S3Error);
  });
});

describe("an element's schema", () => {
  it("named children, once or repeated: fine", () => {
    expectChildren(parseXml("<A> <B/> <C/> <C/> </A>"), ["B"], ["C"]);
  });

  it.each(["<A><B/><B/></A>", "<A><D/></A>", "<A>text<B/></A>"])("%s: MalformedXML", (text) => {
    expect(() => expectChildren(parseXml(text), ["B"], ["C"])).toThrow(S3Error);
  });
});
