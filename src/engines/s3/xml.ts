import { SaxesParser } from "saxes";
import { StorageError } from "../../errors/storage-error.js";

/** An element of an upstream's answer; text of elements that have others is not kept. */
export interface XmlNode {
  readonly name: string;
  readonly children: readonly XmlNode[];
  readonly text: string;
}

interface OpenNode {
  name: string;
  children: XmlNode[];
  text: string;
}

const NO_CHILDREN: XmlNode[] = [];

/** @throws StorageError internal for what is no XML, or has another root */
export function parseAnswer(text: string, root: string): XmlNode {
  const parser = new SaxesParser({ xmlns: false, position: false });
  const open: OpenNode[] = [];
  let top: XmlNode | undefined;
  parser.on("opentag", ({ name }) => open.push({ name, children: NO_CHILDREN, text: "" }));
  parser.on("text", (more) => {
    const node = open[open.length - 1];
    if (node) node.text += more;
  });
  parser.on("closetag", () => {
    const closed = open.pop();
    if (!closed) return;
    const parent = open[open.length - 1];
    if (!parent) top = closed;
    else if (parent.children === NO_CHILDREN) parent.children = [closed];
    else parent.children.push(closed);
  });
  try {
    parser.write(wellFormed(text)).close();
  } catch (error) {
    throw new StorageError("internal", "the upstream's answer is not XML", { cause: error });
  }
  if (top?.name !== root) throw new StorageError("internal", `the upstream answered ${top?.name}, not ${root}`);
  return top;
}

/**
 * Without what XML has no way to say. Ceph answers a key with control characters in it as it is where it was not asked to
 * encode, or cannot be: nobody reads a key there.
 */
function wellFormed(text: string): string {
  const references = text.includes("&#") ? text.replace(/&#(?:\d+|x[0-9a-f]+);/gi, "") : text;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return references.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "");
}

export function child(node: XmlNode, name: string): XmlNode | undefined {
  for (const one of node.children) if (one.name === name) return one;
  return undefined;
}

/** "" where it is not there. */
export const text = (node: XmlNode, name: string): string => child(node, name)?.text ?? "";

/** Of an answer with `encoding-type=url`. */
export const decoded = (encoded: string): string => decodeURIComponent(encoded.replace(/\+/g, " "));
