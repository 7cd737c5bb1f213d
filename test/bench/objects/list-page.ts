/** What a listing's answer says, as far as a benchmark looks. */
export interface ListPage {
  keys: number;
  commonPrefixes: number;
  /** Of the next page; undefined at the end. */
  nextToken: string | undefined;
}

const occurrences = (text: string, part: string): number => text.split(part).length - 1;

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
  if (!/<\/ListBucketResult>\s*$/.test(xml)) throw new Error("no whole ListBucketResult");
  const token = /<NextContinuationToken>([^<]+)<\/NextContinuationToken>/.exec(xml)?.[1];
  if (token === undefined && xml.includes("<IsTruncated>true</IsTruncated>"))
    throw new Error("a truncated listing without a token");
  return {
    keys: occurrences(xml, "</Contents>"),
    commonPrefixes: occurrences(xml, "</CommonPrefixes>"),
    nextToken: token === undefined ? undefined : unescapeXml(token),
  };
}
