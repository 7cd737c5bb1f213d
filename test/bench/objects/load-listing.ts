import type { Connection } from "./connection.js";
import { type ListPage, parseListPage } from "./list-page.js";
import type { ListJob, LoadResult } from "./load-job.js";
import { type Collected, collect } from "./load-results.js";
import { requestHeads } from "./sigv4.js";

const READ_BYTES = 256 * 1024;

/** ListObjectsV2, page after page, as a client that follows the tokens. */
export async function loadListing(job: ListJob): Promise<LoadResult> {
  const headOf = requestHeads({ host: `${job.host}:${job.port}`, credentials: job.credentials });
  let pages = 0;
  let walks = 0;
  const queryOf = (startAfter: string, token: string | undefined): Record<string, string> => ({
    "list-type": "2",
    "max-keys": String(job.pageKeys),
    ...(job.prefix && { prefix: job.prefix }),
    ...(job.delimiter && { delimiter: job.delimiter }),
    ...(token !== undefined ? { "continuation-token": token } : startAfter && { "start-after": startAfter }),
  });

  const walk = async (connection: Connection, results: Collected) => {
    const startAfter = job.startAfter[walks++ % job.startAfter.length] ?? "";
    let token: string | undefined;
    for (let i = 0; i < job.pagesPerWalk; i++) {
      if (performance.now() >= results.endMs || pages >= job.maxPages) return;
      pages++;
      const head = headOf("GET", `/${job.bucket}`, queryOf(startAfter, token));
      const pieces: Buffer[] = [];
      const keep = (piece: Buffer, from: number, to: number) => {
        pieces.push(Buffer.from(piece.subarray(from, to)));
      };
      const ended = await results.timed(() => connection.request("GET", head, undefined, keep));
      const page = ended ?? pageOf(connection, pieces, job.expectEntries);
      if (typeof page === "string") {
        results.fail(`LIST ${job.bucket}: ${page}`);
        return;
      }
      results.bytes += pieces.reduce((sum, { length }) => sum + length, 0);
      token = page.nextToken;
      if (token === undefined) return;
    }
  };
  const client = async (connection: Connection, results: Collected) => {
    while (performance.now() < results.endMs && pages < job.maxPages) await walk(connection, results);
  };
  return { ...(await collect(job, READ_BYTES, client)), nextKey: 0 };
}

/** The page, or what is wrong with it. */
function pageOf(connection: Connection, pieces: readonly Buffer[], expectEntries: number): ListPage | string {
  const xml = Buffer.concat(pieces).toString("latin1");
  if (connection.status !== 200) return `status ${connection.status}: ${xml.slice(0, 200)}`;
  try {
    const page = parseListPage(xml);
    const entries = page.keys + page.commonPrefixes;
    return entries === expectEntries ? page : `${entries} entries, not ${expectEntries}`;
  } catch (error) {
    return (error as Error).message;
  }
}
