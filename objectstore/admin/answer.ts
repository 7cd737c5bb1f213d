import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { invalid, StorageError, type StorageErrorCode } from "../../src/errors/storage-error.js";
import type { ErrorView } from "./views.js";

// A policy has at most 20 KiB, a request a few of them.
const MAX_BODY_BYTES = 256 * 1024;

const STATUS = {
  "invalid-argument": 400,
  "not-found": 404,
  "already-exists": 409,
  "failed-precondition": 409,
  aborted: 409,
  "out-of-range": 400,
  "resource-exhausted": 507,
  unavailable: 503,
  unimplemented: 501,
  "deadline-exceeded": 504,
  cancelled: 499,
  internal: 500,
} as const satisfies Record<StorageErrorCode, number>;

/** What is not a StorageError is told by its request's id alone: its text is the log's. */
export function errorOf(error: unknown, requestId: string): { status: number; view: ErrorView } {
  if (error instanceof StorageError)
    return { status: STATUS[error.code], view: { code: error.code, message: error.message } };
  return { status: 500, view: { code: "internal", message: `internal error; the log has it as request ${requestId}` } };
}

/** The request's JSON; undefined where it has no body. @throws StorageError invalid-argument */
export async function readBody(request: IncomingMessage): Promise<unknown> {
  const body = await gather(request);
  if (body.length === 0) return undefined;
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    throw invalid("the body is not JSON");
  }
}

/** By events, as an iteration that is left would end the connection before the client has its answer. */
function gather(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
      else {
        request.pause();
        reject(invalid(`the body has more than ${MAX_BODY_BYTES} bytes`));
      }
    });
    request.on("end", () => resolve(Buffer.concat(chunks)));
    request.on("error", reject);
    request.on("close", () => reject(new StorageError("cancelled", "the client has gone")));
  });
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  response.writeHead(status, { "content-type": "application/json", "content-length": body.length });
  response.end(body);
}

/** One value a line, as fast as the client takes them. An error before the first line is thrown, a later one is a line. */
export async function sendLines(response: ServerResponse, values: AsyncIterable<unknown>): Promise<void> {
  const closed = once(response, "close");
  for await (const value of values) {
    if (response.destroyed) return;
    if (!response.headersSent) response.writeHead(200, { "content-type": "application/x-ndjson" });
    if (!response.write(`${JSON.stringify(value)}\n`)) await Promise.race([drained(response), closed]);
  }
  response.end();
}

const drained = (response: ServerResponse) => new Promise<void>((resolve) => response.once("drain", () => resolve()));

/** An error, whatever has been sent before it. */
export function answerOf(response: ServerResponse, status: number, view: ErrorView): void {
  if (!response.headersSent) {
    // What is left of a body that was too large is not read.
    if (!response.req.complete) response.setHeader("connection", "close");
    sendJson(response, status, view);
  } else response.end(`${JSON.stringify({ error: view })}\n`);
}
