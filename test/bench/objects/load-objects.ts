import { type Body, bodiesOf } from "./bodies.js";
import type { Connection } from "./connection.js";
import { keyName, type LoadResult, type ObjectJob } from "./load-job.js";
import { type Collected, collect } from "./load-results.js";
import { requestHeads } from "./sigv4.js";

const OK = { PUT: 200, GET: 200, HEAD: 200, DELETE: 204 } as const;
/** A read that takes more than its buffer costs another system call; a buffer that is too large falls out of the cache. */
const readBytesFor = (sizeBytes: number) => Math.min(512 * 1024, Math.max(16 * 1024, sizeBytes * 2));

/** The part of a job that is made before the clock runs: signatures for every key, and bodies. */
interface Prepared {
  heads: readonly Buffer[];
  bodyOf: (key: number) => Body;
}

function prepare(job: ObjectJob): Prepared {
  const host = `${job.host}:${job.port}`;
  const headOf = requestHeads({ host, credentials: job.credentials });
  const bodyOf = bodiesOf(job.sizeBytes);
  const heads = Array.from({ length: job.keys }, (_, i) => {
    const key = job.firstKey + i;
    const path = `/${job.bucket}/${keyName(job.layout, key)}`;
    const body = job.operation === "PUT" ? { bytes: job.sizeBytes, sha256: bodyOf(key).sha256 } : undefined;
    return headOf(job.operation, path, {}, body);
  });
  return { heads, bodyOf };
}

/** Counts a body's bytes, and compares them with what was stored when told to. */
class BodyCheck {
  bytes = 0;
  differs = false;
  #expected: Buffer | undefined;

  start(expected: Buffer | undefined): void {
    this.bytes = 0;
    this.differs = false;
    this.#expected = expected;
  }

  readonly read = (piece: Buffer, from: number, to: number): void => {
    const end = this.bytes + to - from;
    if (this.#expected !== undefined && this.#expected.compare(piece, from, to, this.bytes, end) !== 0)
      this.differs = true;
    this.bytes = end;
  };
}

/** What is wrong with a response, if anything. */
function fault(job: ObjectJob, connection: Connection, body: BodyCheck): string | undefined {
  if (connection.status !== OK[job.operation]) return `status ${connection.status}`;
  if (job.operation === "GET" && body.bytes !== job.sizeBytes) return `${body.bytes} bytes of ${job.sizeBytes}`;
  if (
    job.operation === "HEAD" &&
    !new RegExp(`\r\ncontent-length: *${job.sizeBytes}(\r|$)`, "i").test(connection.headText)
  )
    return "content-length is not the object's size";
  return body.differs ? "a body is not what was stored" : undefined;
}

/** PUT, GET, HEAD or DELETE of one size, by all clients at once. */
export async function loadObjects(job: ObjectJob): Promise<LoadResult> {
  const { heads, bodyOf } = prepare(job);
  const once = job.operation === "PUT" || job.operation === "DELETE";
  let taken = 0;
  /** The offset of the next key in the range; undefined when a range to take once is used up. */
  const next = () => {
    if (!once) return Math.floor(Math.random() * job.keys);
    return taken < job.keys ? taken++ : undefined;
  };
  const client = async (connection: Connection, results: Collected) => {
    const check = new BodyCheck();
    for (let count = 0; performance.now() < results.endMs; count++) {
      const i = next();
      if (i === undefined) return;
      const body = bodyOf(job.firstKey + i).data;
      const compares = job.operation === "GET" && count % job.compareOneOf === 0;
      check.start(compares ? body : undefined);
      const ended = await results.timed(() =>
        connection.request(job.operation, heads[i] as Buffer, job.operation === "PUT" ? body : undefined, check.read),
      );
      const wrong = ended ?? fault(job, connection, check);
      if (wrong !== undefined) results.fail(`${job.operation} ${keyName(job.layout, job.firstKey + i)}: ${wrong}`);
      else if (job.operation === "PUT" || job.operation === "GET") results.bytes += job.sizeBytes;
      if (compares) results.compared++;
    }
  };
  const result = await collect(job, readBytesFor(job.operation === "GET" ? job.sizeBytes : 0), client);
  return { ...result, nextKey: job.firstKey + (once ? taken : 0) };
}
