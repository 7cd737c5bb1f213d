/**
 * S3's XML answers as plain string concatenation: a listing page has a thousand entries, and a tree of nodes for it costs
 * more than the listing itself. What `element` and `xmlDocument` take as content is XML already; `leaf` is the one that
 * escapes. An element's order is the order of the calls.
 */

import { isoTime } from "../http/dates.js";

export const XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n';
export const S3_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/";
export const XML_CONTENT_TYPE = "application/xml";

// biome-ignore lint/suspicious/noControlCharactersInRegex: XML 1.0 cannot carry them, so they are looked for
const SPECIAL = /[&<>"\u0000-\u0008\u000a-\u001f\ufffe\uffff]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above
const EVERY_SPECIAL = /[&<>"\u0000-\u0008\u000a-\u001f\ufffe\uffff]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above
const UNREPRESENTABLE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g;

function reference(character: string): string {
  switch (character) {
    case "&":
      return "&amp;";
    case "<":
      return "&lt;";
    case ">":
      return "&gt;";
    case '"':
      return "&quot;";
    // A parser folds a literal line end into \n, and some clients trim it: both survive as references.
    case "\r":
      return "&#13;";
    case "\n":
      return "&#10;";
    default:
      return `&#x${character.charCodeAt(0).toString(16)};`;
  }
}

/**
 * Text for an element or a double-quoted attribute. A control character that XML 1.0 cannot carry becomes a numeric
 * reference, as at Amazon: strict parsers refuse it, and who has such keys asks for `encoding-type=url`.
 */
export function escapeXml(text: string): string {
  return SPECIAL.test(text) ? text.replace(EVERY_SPECIAL, reference) : text;
}

/** `<name>content</name>`: the content is XML already. */
export function element(name: string, ...content: readonly string[]): string {
  return `<${name}>${content.join("")}</${name}>`;
}

/** `<name>text</name>`, with the text escaped. */
export function leaf(name: string, text: string | number | boolean): string {
  return typeof text === "string" ? `<${name}>${escapeXml(text)}</${name}>` : `<${name}>${text}</${name}>`;
}

/** `leaf`, or nothing where there is no value. */
export function optionalLeaf(name: string, text: string | number | boolean | undefined): string {
  return text === undefined ? "" : leaf(name, text);
}

/** `<ETag>&quot;...&quot;</ETag>`: an ETag has quotes in S3's XML. It is hex and needs no escaping. */
export function etagLeaf(etag: string): string {
  return `<ETag>&quot;${etag}&quot;</ETag>`;
}

/** S3's time in XML: UTC with milliseconds. */
export function timeLeaf(name: string, ms: number): string {
  return `<${name}>${isoTime(ms)}</${name}>`;
}

/** A whole document: the declaration and the root element in S3's namespace. */
export function xmlDocument(root: string, ...content: readonly string[]): string {
  return `${XML_DECLARATION}<${root} xmlns="${S3_NAMESPACE}">${content.join("")}</${root}>`;
}

function percent(byte: number): string {
  return `%${byte < 16 ? "0" : ""}${byte.toString(16).toUpperCase()}`;
}

/** Letters, digits, `-`, `.`, `_`, `~` and `/`. */
const PLAIN_IN_URL = /^[A-Za-z0-9\-._~/]*$/;
const ENCODED_BYTE: readonly string[] = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  return byte < 128 && PLAIN_IN_URL.test(character) ? character : percent(byte);
});

/**
 * `encoding-type=url` for Key, Prefix, Delimiter, Marker, StartAfter and CommonPrefixes (API reference, ListObjectsV2):
 * the UTF-8 bytes percent encoded, all but the unreserved ones and `/`. A blank is %20, which every decoder reads the same.
 */
export function encodeKeyForUrl(key: string): string {
  if (PLAIN_IN_URL.test(key)) return key;
  const bytes = Buffer.from(key, "utf8");
  let encoded = "";
  for (const byte of bytes) encoded += ENCODED_BYTE[byte];
  return encoded;
}

export interface ErrorDocument {
  code: string;
  message: string;
  /** The request's path as it was sent. "" leaves it out. */
  resource: string;
  requestId: string;
  hostId: string;
  /** Elements beside Code and Message: BucketName, Key, ArgumentName ... */
  fields?: Readonly<Record<string, string>>;
}

/**
 * S3's error answer (API reference, "REST error responses"), which has no namespace. What XML cannot carry is replaced
 * here: a client that cannot parse its error learns nothing.
 */
export function errorXml(error: ErrorDocument): string {
  const line = (name: string, text: string) => leaf(name, text.replace(UNREPRESENTABLE, "\ufffd"));
  let content = leaf("Code", error.code) + line("Message", error.message);
  for (const [name, text] of Object.entries(error.fields ?? {})) content += line(name, text);
  if (error.resource !== "") content += line("Resource", error.resource);
  content += leaf("RequestId", error.requestId) + leaf("HostId", error.hostId);
  return `${XML_DECLARATION}<Error>${content}</Error>`;
}
