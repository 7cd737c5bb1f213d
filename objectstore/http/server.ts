import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Socket } from "node:net";
import { S3Error } from "../../src/errors/s3-error.js";
import { type Gateway, serveRequest } from "./pipeline.js";
import { newRequestId } from "./request-id.js";
import { errorResponse } from "./respond.js";

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  /** PEM texts; null: plain HTTP. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** A connection on which nothing moves for so long, in the middle of a request, is ended. */
  readonly stallMs: number;
}

export interface GatewayServer {
  /** With the real port. */
  readonly host: string;
  readonly port: number;
  /** Takes no new connection, ends the idle ones, and settles when the requests that run are over, or after `graceMs`. */
  drain(graceMs: number): Promise<void>;
}

// Above the client pools' own idle times (AWS SDKs: 5 to 50 s), so that it is the client that closes (rules/s3.md 14).
const KEEP_ALIVE_MS = 75_000;
const HEADERS_MS = 60_000;
// Metadata, tags, a policy and signatures: more than Node's 16 KiB, and bounded.
const MAX_HEADER_BYTES = 64 * 1024;

const OPTIONS: ServerOptions = {
  keepAliveTimeout: KEEP_ALIVE_MS,
  headersTimeout: HEADERS_MS,
  // A slow upload is no fault as long as bytes come: stallMs bounds that.
  requestTimeout: 0,
  maxHeaderSize: MAX_HEADER_BYTES,
  noDelay: true,
  insecureHTTPParser: false,
};

/** Serves S3 on one address. */
export async function listenS3(gateway: Gateway, options: ListenOptions): Promise<GatewayServer> {
  const server: Server = options.tls
    ? createTlsServer({ ...OPTIONS, cert: options.tls.cert, key: options.tls.key, minVersion: "TLSv1.2" })
    : createServer(OPTIONS);
  server.maxRequestsPerSocket = 0;
  server.on("request", (message: IncomingMessage, outgoing: ServerResponse) => {
    void serveRequest(gateway, message, outgoing, false);
  });
  server.on("checkContinue", (message: IncomingMessage, outgoing: ServerResponse) => {
    void serveRequest(gateway, message, outgoing, true);
  });
  server.on("connection", (socket: Socket) => {
    gateway.metrics.connections++;
    socket.once("close", () => {
      gateway.metrics.connections--;
    });
  });
  server.on("clientError", refuseGarbage);
  server.timeout = options.stallMs;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: options.host, port: options.port, backlog: 4096 }, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : options.port;
  return { host: options.host, port, drain: (graceMs) => drain(server, graceMs) };
}

function drain(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}

/** What is no HTTP gets S3's answer where it can be told, and the connection ends. */
function refuseGarbage(error: NodeJS.ErrnoException, socket: Socket): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const tooLarge = error.code === "HPE_HEADER_OVERFLOW";
  const id = newRequestId();
  const code = tooLarge ? "RequestHeaderSectionTooLarge" : "BadRequest";
  const body = String(errorResponse(new S3Error(code), "GET", id, "/").body);
  socket.end(
    `HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: application/xml\r\nx-amz-request-id: ${id}\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
