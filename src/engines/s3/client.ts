import http, { type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import https from "node:https";
import { Client } from "minio";
import { signV4 } from "minio/dist/esm/signing.mjs";
import { refused, StorageError } from "../../errors/storage-error.js";
import type { Context } from "../types.js";
import { failureOfAnswer, failureOfConnection } from "./failures.js";

/**
 * One request to the upstream S3 service. Shared by the objects' half and the buckets' half of this engine: nobody else
 * speaks to the upstream.
 *
 * The client's own methods fall short in three ways, so only its addressing and its signatures are used: it answers a 503
 * by waiting, and then by an error without the answer's body (whose connection is then never given back); it cannot end a
 * request before its last byte; it has no deadline.
 */
export interface UpstreamRequest {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** With its prefix. Undefined: the service. */
  readonly bucket?: string;
  readonly key?: string;
  /** Unencoded; a bare name has "". */
  readonly query?: Readonly<Record<string, string | undefined>>;
  /** Lower-case names; ASCII. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | UpstreamBody;
}

/** A body that is sent while it is made. What it throws ends the connection before the body is whole: nothing is stored. */
export interface UpstreamBody {
  /** An upstream takes no body whose length it is not told before. */
  readonly lengthBytes: number;
  readonly chunks: AsyncIterable<Buffer>;
}

export interface UpstreamResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** To be read to its end, or destroyed. Of an answer without a body it is over already. */
  readonly body: IncomingMessage;
}

export interface UpstreamSettings {
  /** `http://host:port` or `https://host:port`. */
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly region: string;
  /** Before the name of each bucket upstream. */
  readonly prefix: string;
}

/** Nothing moved for so long: the upstream is taken for gone. */
const STALLED_MS = 60_000;
const UNSIGNED = "UNSIGNED-PAYLOAD";
const TEXT_LIMIT_BYTES = 16 * 1024 ** 2;

export class UpstreamClient extends Client {
  readonly settings: UpstreamSettings;
  readonly #secure: boolean;

  constructor(settings: UpstreamSettings) {
    const { protocol, hostname, port } = new URL(settings.endpoint);
    const secure = protocol === "https:";
    // Connections are kept: a new one, with TLS above all, costs more than a small object. The latest used first, so that
    // the others may end.
    const options = { keepAlive: true, maxFreeSockets: 256, scheduling: "lifo", timeout: STALLED_MS } as const;
    super({
      ...{ endPoint: hostname, useSSL: secure, accessKey: settings.accessKey, secretKey: settings.secretKey },
      ...{ region: settings.region, pathStyle: true, port: port === "" ? (secure ? 443 : 80) : Number(port) },
      transportAgent: secure ? new https.Agent(options) : new http.Agent(options),
    });
    this.settings = settings;
    this.#secure = secure;
  }

  /** @throws StorageError unavailable where there is no answer; any answer is answered, whatever its status */
  async send(ctx: Context, request: UpstreamRequest): Promise<UpstreamResponse> {
    try {
      return await this.#exchange(ctx, request);
    } catch (error) {
      if (error instanceof StaleConnection && !isStreamed(request.body)) return this.#again(ctx, request);
      throw this.#failure(ctx, error);
    }
  }

  /** `send`, and anything but these statuses is an error: StorageError by what the upstream says. The body is not read yet. */
  async expect(ctx: Context, request: UpstreamRequest, ...statuses: number[]): Promise<UpstreamResponse> {
    const response = await this.send(ctx, request);
    if (statuses.includes(response.status)) return response;
    throw failureOfAnswer(request, response.status, await textOf(response));
  }

  /** `expect` for answers whose body says nothing: it is read away, so that the connection serves again. */
  async run(ctx: Context, request: UpstreamRequest, ...statuses: number[]): Promise<UpstreamResponse> {
    const response = await this.expect(ctx, request, ...statuses);
    await drain(response);
    return response;
  }

  /** Ends the connections that are not in use. */
  close(): void {
    this.transportAgent.destroy();
  }

  async #again(ctx: Context, request: UpstreamRequest): Promise<UpstreamResponse> {
    try {
      return await this.#exchange(ctx, request);
    } catch (error) {
      throw this.#failure(ctx, error);
    }
  }

  #failure(ctx: Context, error: unknown): StorageError {
    if (error instanceof StorageError) return error;
    const { aborted, reason } = ctx.signal;
    // A deadline of the engine's own, not the client's going.
    if (aborted && (reason as Error | undefined)?.name === "TimeoutError")
      return refused("timed-out", "the upstream did not answer in time", { cause: error });
    if (aborted) return new StorageError("cancelled", "the request was cancelled", { cause: error });
    return failureOfConnection(error instanceof StaleConnection ? error.cause : error);
  }

  #options(request: UpstreamRequest) {
    const { region } = this.settings;
    const headers: Record<string, string> = { ...request.headers };
    if (Buffer.isBuffer(request.body)) headers["content-length"] = String(request.body.length);
    else if (!request.body) headers["content-length"] = "0";
    else headers["content-length"] = String(request.body.lengthBytes);
    if (request.method === "GET" || request.method === "HEAD") delete headers["content-length"];
    const options = this.getRequestOptions({
      ...{ method: request.method, region, headers, pathStyle: true },
      ...(request.bucket === undefined ? {} : { bucketName: request.bucket }),
      ...(request.key === undefined ? {} : { objectName: request.key }),
      ...(request.query ? { query: queryText(request.query) } : {}),
    });
    const now = new Date();
    options.headers["x-amz-date"] = `${now.toISOString().replace(/[-:]|\.\d+/g, "")}`;
    options.headers["x-amz-content-sha256"] = UNSIGNED;
    const { accessKey, secretKey } = this.settings;
    const authorization = signV4(options, accessKey, secretKey, region, now, UNSIGNED);
    return { ...options, headers: { ...options.headers, authorization } };
  }

  #exchange(ctx: Context, request: UpstreamRequest): Promise<UpstreamResponse> {
    const { body } = request;
    const options = { ...this.#options(request), signal: ctx.signal };
    return new Promise((resolve, reject) => {
      const sent = (this.#secure ? https : http).request(options);
      sent.on("response", (message) => {
        resolve({ status: message.statusCode ?? 0, headers: message.headers, body: message });
      });
      sent.on("timeout", () => sent.destroy(new Error(`nothing moved for ${STALLED_MS / 1000} s`)));
      sent.on("error", (error) => reject(isStale(sent, error) ? new StaleConnection(error) : error));
      if (!isStreamed(body)) sent.end(body);
      else {
        sendChunks(sent, body.chunks).catch((error: unknown) => {
          // First, so that the reason is told and not that the connection ended.
          reject(error);
          sent.destroy();
        });
      }
    });
  }
}

const isStreamed = (body: UpstreamRequest["body"]): body is UpstreamBody =>
  body !== undefined && !Buffer.isBuffer(body);

/** The upstream closed a kept connection in the moment in which it was to serve again: it has not seen the request. */
class StaleConnection extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause });
  }
}

function isStale(sent: http.ClientRequest, error: Error & { code?: string }): boolean {
  return sent.reusedSocket && (error.code === "ECONNRESET" || error.code === "EPIPE");
}

async function sendChunks(sent: http.ClientRequest, chunks: AsyncIterable<Buffer>): Promise<void> {
  let answered = false;
  let wake: (() => void) | undefined;
  const moved = () => wake?.();
  sent.on("drain", moved);
  sent.on("close", moved);
  sent.on("response", () => {
    answered = true;
    wake?.();
  });
  for await (const chunk of chunks) {
    // Answered before its end: refused. Nobody reads the rest.
    if (answered || sent.destroyed) break;
    if (sent.write(chunk)) continue;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
    wake = undefined;
  }
  if (answered || sent.destroyed) sent.destroy();
  else sent.end();
}

function queryText(query: NonNullable<UpstreamRequest["query"]>): string {
  const pairs: string[] = [];
  for (const [name, value] of Object.entries(query))
    if (value !== undefined) pairs.push(value === "" ? name : `${name}=${uriEscaped(value)}`);
  return pairs.join("&");
}

/** RFC 3986 and SigV4: everything but the unreserved. */
export const uriEscaped = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);

/** The whole of a small answer. @throws StorageError internal beyond 16 MiB; unavailable where it ends early */
export async function bytesOf({ body }: Pick<UpstreamResponse, "body">): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > TEXT_LIMIT_BYTES) throw refused("busy", "the upstream answered with more than was asked for");
    }
  } catch (error) {
    throw error instanceof StorageError ? error : failureOfConnection(error);
  }
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, length);
}

export const textOf = async (response: Pick<UpstreamResponse, "body">): Promise<string> =>
  (await bytesOf(response)).toString("utf8");

export async function drain(response: Pick<UpstreamResponse, "body">): Promise<void> {
  await bytesOf(response);
}
