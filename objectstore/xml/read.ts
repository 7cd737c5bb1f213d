import { SaxesParser } from "saxes";
import { S3Error } from "../../src/errors/s3-error.js";

export interface XmlElement {
  /** Without its namespace prefix. */
  readonly name: string;
  /** By name as written (`xsi:type`). A map: a name such as `__proto__` is a name like any other. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** All text right under the element, joined. */
  readonly text: string;
}

export interface XmlLimits {
  /** UTF-16 units of the document. */
  length: number;
  depth: number;
  elements: number;
  /** Of one element. */
  attributes: number;
}

/** Large enough for 10,000 parts with their checksums, and for 1,000 keys of 1,024 escaped bytes. */
const LIMITS: XmlLimits = { length: 8 * 1024 ** 2, depth: 16, elements: 100_000, attributes: 16 };

/** The one error of a document that is not what its operation takes. Why not stands beside Amazon's message. */
export function malformedXml(why?: string): S3Error {
  return new S3Error("MalformedXML", undefined, why === undefined ? {} : { fields: { Detail: why } });
}

interface OpenElement {
  name: string;
  attributes: ReadonlyMap<string, string>;
  children: XmlElement[];
  text: string;
}

// Most elements have neither: thirty thousand of them need not have arrays and maps of their own.
const NO_CHILDREN: XmlElement[] = [];
const NO_ATTRIBUTES: ReadonlyMap<string, string> = new Map();

function attributesOf(
  attributes: Readonly<Record<string, { value: string }>>,
  most: number,
): OpenElement["attributes"] {
  let map: Map<string, string> | undefined;
  for (const name in attributes) {
    map ??= new Map();
    if (map.size === most) throw malformedXml(`an element has more than ${most} attributes`);
    map.set(name, attributes[name]?.value ?? "");
  }
  return map ?? NO_ATTRIBUTES;
}

/**
 * A request's XML as a small tree, in S3's namespace, another, or none. Bounded in every direction; a DTD, an entity other
 * than XML's five, a processing instruction and an encoding other than UTF-8 are refused.
 *
 * @throws S3Error MalformedXML, and nothing else
 */
export function parseXml(text: string, limits: Partial<XmlLimits> = {}): XmlElement {
  const bounds = { ...LIMITS, ...limits };
  if (text.length > bounds.length) throw malformedXml(`it is longer than ${bounds.length} characters`);
  try {
    return parse(text, bounds);
  } catch (error) {
    if (error instanceof S3Error) throw error;
    // The parser's own. It may quote a name as long as the document.
    throw malformedXml(error instanceof Error ? error.message.slice(0, 200) : undefined);
  }
}

/** No more than six handlers: a parser with seven is slower by five times, since V8 then keeps it as a dictionary. */
function parse(text: string, bounds: XmlLimits): XmlElement {
  const parser = new SaxesParser({ xmlns: true, position: false });
  const open: OpenElement[] = [];
  let top: OpenElement | undefined;
  let root: XmlElement | undefined;
  let elements = 0;

  parser.on("doctype", () => {
    throw malformedXml("a document type is not allowed");
  });
  parser.on("processinginstruction", () => {
    throw malformedXml("a processing instruction is not allowed");
  });
  parser.on("opentag", (tag) => {
    if (elements === 0) checkEncoding(parser.xmlDecl.encoding);
    elements += 1;
    if (elements > bounds.elements) throw malformedXml(`it has more than ${bounds.elements} elements`);
    if (open.length >= bounds.depth) throw malformedXml(`it is nested more than ${bounds.depth} deep`);
    const attributes = attributesOf(tag.attributes, bounds.attributes);
    top = { name: tag.local, attributes, children: NO_CHILDREN, text: "" };
    open.push(top);
  });
  const addText = (more: string) => {
    if (top) top.text += more;
  };
  parser.on("text", addText);
  parser.on("cdata", addText);
  parser.on("closetag", () => {
    const closed = open.pop();
    if (!closed) return;
    top = open[open.length - 1];
    if (!top) root = closed;
    else if (top.children === NO_CHILDREN) top.children = [closed];
    else top.children.push(closed);
  });

  parser.write(text).close();
  if (!root) throw malformedXml();
  return root;
}

function checkEncoding(encoding: string | undefined): void {
  if (encoding !== undefined && !/^(utf-?8|us-ascii)$/i.test(encoding)) throw malformedXml("its encoding is not UTF-8");
}

/** The first child of this name. */
export function childOf(parent: XmlElement, name: string): XmlElement | undefined {
  for (const child of parent.children) if (child.name === name) return child;
  return undefined;
}

/** The text of the first child of this name. */
export function textOf(parent: XmlElement, name: string): string | undefined {
  return childOf(parent, name)?.text;
}

export function childrenOf(parent: XmlElement, name: string): XmlElement[] {
  return parent.children.filter((child) => child.name === name);
}

/**
 * Holds an element to its schema: only the children named, and each at most once unless it may be `repeated`.
 *
 * @throws S3Error MalformedXML
 */
export function expectChildren(parent: XmlElement, once: readonly string[], repeated: readonly string[] = []): void {
  const seen = new Set<string>();
  for (const { name } of parent.children) {
    if (repeated.includes(name)) continue;
    if (!once.includes(name)) throw malformedXml(`${parent.name} has no ${JSON.stringify(name.slice(0, 100))}`);
    if (seen.has(name)) throw malformedXml(`${parent.name} has more than one ${name}`);
    seen.add(name);
  }
  if (parent.children.length > 0 && parent.text.trim() !== "") throw malformedXml(`${parent.name} has text of its own`);
}

/**
 * `parseXml` for a document whose root must have this name.
 *
 * @throws S3Error MalformedXML
 */
export function parseDocument(text: string, root: string, limits: Partial<XmlLimits> = {}): XmlElement {
  const parsed = parseXml(text, limits);
  if (parsed.name !== root) throw malformedXml(`the root element is not ${root}`);
  return parsed;
}
