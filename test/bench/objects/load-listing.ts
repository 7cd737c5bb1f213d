import type { Connection } from "./connection.js";
import { type ListPage, parseListPage } from "./list-page.js";
import type { ListJob, LoadResult } from "./load-job.js";
import { type Collected, collect } from "./load-results.js";
import { requestHeads } from "./sigv4.js";

const READ_BYTES = 256 * 1024;

/** Keeps one client's answers, one at a time. */
class Answer {
  bytes = 0;
  #data = Buffer.allocUnsafe(READ_BYTES);

  readonly keep = (piece: Buffer, from: number, to: number): void => {
    const end = this.bytes + to - from;
    if (end > this.#data.length) {
      const larger = Buffer.allocUnsafe(Math.max(end, this.#data.length * 2));
      this.#data.copy(larger, 0, 0, this.bytes);
      this.#data = larger;
    }
    this.bytes += piece.copy(this.#data, this.bytes, from, to);
  };

  text(): string {
    return this.#data.toString("latin1", 0, this.bytes);
  }
}

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

  const walk = async (connection: Connection, results: Collected, answer: Answer) => {
    const startAfter = job.startAfter[walks++ % job.startAfter.length] ?? "";
    let token: string | undefined;
    for (let i = 0; i < job.pagesPerWalk; i++) {
      if (performance.now() >= results.endMs || pages >= job.maxPages) return;
      pages++;
      const head = headOf("GET", `/${job.bucket}`, queryOf(startAfter, token));
      answer.bytes = 0;
      const ended = await results.timed(() => connection.request("GET", head, undefined, answer.keep));
      const page = ended ?? pageOf(connection, answer.text(), job.expectEntries);
      if (typeof page === "string") {
        results.fail(`LIST ${job.bucket}: ${page}`);
        return;
      }
      results.bytes += answer.bytes;
      token = page.nextToken;
      if (token === undefined) return;
    }
  };
  const client = async (connection: Connection, results: Collected) => {
    const answer = new Answer();
    while (performance.now() < results.endMs && pages < job.maxPages) await walk(connection, results, answer);
  };
  return { ...(await collect(job, READ_BYTES, client)), nextKey: 0 };
}

/** The page, or what is wrong with it. */
function pageOf(connection: Connection, xml: string, expectEntries: number): ListPage | string {
  if (connection.status !== 200) return `status ${connection.status}: ${xml.slice(0, 200)}`;
  try {
    const page = parseListPage(xml);
    const entries = page.keys + page.commonPrefixes;
    return entries === expectEntries ? page : `${entries} entries, not ${expectEntries}`;
  } catch (error) {
    return (error as Error).message;
  }
}
