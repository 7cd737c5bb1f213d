import { describe, expect, it } from "vitest";
import { corsFromXml, corsXml } from "../../objectstore/cors-document.js";
import { S3Error } from "../../src/errors/s3-error.js";

const rule = (content: string) => `<CORSConfiguration><CORSRule>${content}</CORSRule></CORSConfiguration>`;
const LEAST = "<AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin>";

function outcome(text: string): string {
  try {
    corsFromXml(text);
    return "fine";
  } catch (error) {
    if (error instanceof S3Error) return `${error.code}: ${error.message}`;
    throw error;
  }
}

describe("a CORSConfiguration document", () => {
  it("every element: written as it was read, in the API's order", () => {
    const text = rule(
      "<ID>one</ID><AllowedHeader>x-*</AllowedHeader><AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod>" +
        "<AllowedOrigin>https://*.example.com</AllowedOrigin><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>30</MaxAgeSeconds>",
    );
    const rules = corsFromXml(text);
    expect(corsXml(rules)).toContain(text.slice("<CORSConfiguration>".length, -"</CORSConfiguration>".length));
    expect(corsFromXml(corsXml(rules))).toEqual(rules);
  });

  it("a hundred rules: fine, one more: InvalidRequest", () => {
    const many = (count: number) =>
      `<CORSConfiguration>${`<CORSRule>${LEAST}</CORSRule>`.repeat(count)}</CORSConfiguration>`;
    expect(outcome(many(100))).toBe("fine");
    expect(outcome(many(101))).toMatch(/^InvalidRequest: The number of CORS rules/);
  });

  it.each([
    ["no rule", "<CORSConfiguration/>", /^MalformedXML/],
    ["an empty rule", rule(""), /^MalformedXML/],
    ["no origin", rule("<AllowedMethod>GET</AllowedMethod>"), /^MalformedXML/],
    ["no method", rule("<AllowedOrigin>*</AllowedOrigin>"), /^MalformedXML/],
    ["an unknown element", rule(`${LEAST}<Foo/>`), /^MalformedXML/],
    ["two ids", rule(`${LEAST}<ID>a</ID><ID>b</ID>`), /^MalformedXML/],
    ["an age of words", rule(`${LEAST}<MaxAgeSeconds>soon</MaxAgeSeconds>`), /^MalformedXML/],
    ["an age below zero", rule(`${LEAST}<MaxAgeSeconds>-1</MaxAgeSeconds>`), /^MalformedXML/],
    [
      "an unsupported method",
      rule("<AllowedMethod>PATCH</AllowedMethod><AllowedOrigin>*</AllowedOrigin>"),
      /method is PATCH$/,
    ],
    [
      "a method in small letters",
      rule("<AllowedMethod>get</AllowedMethod><AllowedOrigin>*</AllowedOrigin>"),
      /method is get$/,
    ],
    ["an empty method", rule("<AllowedMethod/><AllowedOrigin>*</AllowedOrigin>"), /^InvalidRequest: Found unsupported/],
    [
      "two wildcards in an origin",
      rule(`${LEAST}<AllowedOrigin>*a*</AllowedOrigin>`),
      /AllowedOrigin "\*a\*" can not have more/,
    ],
    [
      "two wildcards in a header",
      rule(`${LEAST}<AllowedHeader>*a*</AllowedHeader>`),
      /AllowedHeader "\*a\*" can not have more/,
    ],
    ["a wildcard to expose", rule(`${LEAST}<ExposeHeader>*</ExposeHeader>`), /contains wildcard/],
    [
      "a line end to expose",
      rule(`${LEAST}<ExposeHeader>a&#13;&#10;b: c</ExposeHeader>`),
      /contains invalid character/,
    ],
    ["an id of 256 characters", rule(`${LEAST}<ID>${"i".repeat(256)}</ID>`), /^InvalidRequest/],
  ])("%s: refused", (_, text, expected) => {
    expect(outcome(text)).toMatch(expected);
  });
});
