import type { ServerResponse } from "node:http";
import { S3Error, toS3Error } from "../../src/errors/s3-error.js";
import type { S3Response } from "../types.js";
import { errorXml } from "../xml/write.js";
import { HOST_ID } from "./request-id.js";

/** Statuses whose responses have no body, whatever it is. */
const hasNoBody = (status: number) => status === 204 || status === 304 || status < 200;

/**
 * Writes a response whole. Settles when the last byte is with the kernel, or the client is gone.
 *
 * @param discarded the response is sent at once, and ended when this has settled: with its end Node closes the connection
 * @returns how many bytes of body were sent
 */
export async function respond(
  outgoing: ServerResponse,
  method: string,
  requestId: string,
  response: S3Response,
  extraHeaders: Readonly<Record<string, string>> | undefined,
  discarded: Promise<void> | undefined,
): Promise<number> {
  const { status, headers, body } = response;
  headers["x-amz-request-id"] = requestId;
  headers["x-amz-id-2"] = HOST_ID;
  if (extraHeaders) Object.assign(headers, extraHeaders);
  try {
    if (body === undefined || hasNoBody(status)) {
      if (method !== "HEAD" && !hasNoBody(status) && headers["content-length"] === undefined)
        headers["content-length"] = "0";
      outgoing.writeHead(status, headers);
      const wait = end(outgoing, undefined, discarded);
      if (wait) await wait;
      return 0;
    }
    if (typeof body === "string" || Buffer.isBuffer(body)) {
      const lengthBytes = typeof body === "string" ? Buffer.byteLength(body) : body.length;
      headers["content-length"] = String(lengthBytes);
      outgoing.writeHead(status, headers);
      const wait = end(outgoing, method === "HEAD" ? undefined : body, discarded);
      if (wait) await wait;
      return method === "HEAD" ? 0 : lengthBytes;
    }
    if (response.lengthBytes !== undefined) headers["content-length"] = String(response.lengthBytes);
    outgoing.writeHead(status, headers);
    if (method === "HEAD") {
      outgoing.end();
      return 0;
    }
    return await stream(outgoing, body, response.lengthBytes);
  } finally {
    response.close?.();
  }
}

/** Without anything to wait for, head and body go out in one write. */
function end(
  outgoing: ServerResponse,
  body: string | Buffer | undefined,
  discarded: Promise<void> | undefined,
): Promise<void> | undefined {
  if (discarded === undefined) {
    outgoing.end(body);
    return undefined;
  }
  if (body === undefined) outgoing.flushHeaders();
  else outgoing.write(body);
  return discarded.then(() => {
    outgoing.end();
  });
}

/**
 * A chunk is its engine's again as soon as the next is asked for, so that one waits until the kernel has it. A failure in
 * the middle of a body cannot be told any more: the connection is cut, and the client sees too few bytes, never wrong ones.
 */
async function stream(outgoing: ServerResponse, body: AsyncIterable<Buffer>, lengthBytes: number | undefined) {
  let sentBytes = 0;
  let flushed = () => {};
  const onFlushed = () => flushed();
  outgoing.on("close", onFlushed);
  try {
    for await (const chunk of body) {
      if (outgoing.destroyed) return sentBytes;
      sentBytes += chunk.length;
      await new Promise<void>((resolve) => {
        flushed = resolve;
        outgoing.write(chunk, onFlushed);
      });
    }
    if (outgoing.destroyed) return sentBytes;
    if (lengthBytes !== undefined && sentBytes !== lengthBytes)
      throw new S3Error("InternalError", `${sentBytes} bytes of a body where ${lengthBytes} were due`);
    outgoing.end();
    return sentBytes;
  } catch (error) {
    outgoing.destroy();
    throw error;
  } finally {
    outgoing.off("close", onFlushed);
  }
}

/** The response of a failure, as S3 words it. `resource`: the request's raw path. */
export function errorResponse(error: unknown, method: string, requestId: string, resource: string): S3Response {
  const failure: S3Error = toS3Error(error);
  const headers: Record<string, string> = { ...failure.headers };
  // The headers of 304 are the operation's to choose (ETag, Last-Modified).
  if (method === "HEAD" || hasNoBody(failure.status)) return { status: failure.status, headers };
  headers["content-type"] = "application/xml";
  return {
    status: failure.status,
    headers,
    body: errorXml({
      code: failure.code,
      message: failure.message,
      resource,
      requestId,
      hostId: HOST_ID,
      fields: failure.fields,
    }),
  };
}
