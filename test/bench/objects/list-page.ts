/** What a listing's answer says, as far as a benchmark looks. */
export interface ListPage {
  keys: number;
  commonPrefixes: number;
  /** Of the next page; undefined at the end. */
  nextToken: string | undefined;
}

function occurrences(text: string, part: string): number {
  let count = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) count++;
  return count;
}

/** The text of the only element of a name; undefined when there is none. */
function textOf(xml: string, name: string): string | undefined {
  const from = xml.indexOf(`<${name}>`);
  const to = from < 0 ? -1 : xml.indexOf(`</${name}>`, from);
  return to < 0 ? undefined : xml.slice(from + name.length + 2, to);
}

const ENTITIES: Record<string, string> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };
const unescapeXml = (text: string): string =>
  text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex?: string, decimal?: string, name?: string) => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    return ENTITIES[name ?? ""] ?? whole;
  });

/**
 * Reads an answer of ListObjectsV2. A full parse would cost the client more than the page costs the server: this reads
 * the answers of servers that are measured, not of strangers.
 *
 * @throws Error for one that is none, or that is truncated and has no token
 */
export function parseListPage(xml: string): ListPage {
  if (!xml.slice(-40).trimEnd().endsWith("</ListBucketResult>")) throw new Error("no whole ListBucketResult");
  const token = textOf(xml, "NextContinuationToken");
  if (token === undefined && textOf(xml, "IsTruncated") === "true")
    throw new Error("a truncated listing without a token");
  return {
    keys: occurrences(xml, "</Contents>"),
    commonPrefixes: occurrences(xml, "</CommonPrefixes>"),
    nextToken: token === undefined ? undefined : unescapeXml(token),
  };
}
