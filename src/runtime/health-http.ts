import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { messageOf, StorageError } from "../errors/storage-error.js";
import type { Metrics } from "./metrics.js";

export interface HealthOptions {
  /** `host:port`; port 0 takes a free one. */
  address: string;
  metrics: Pick<Metrics, "text">;
  /** Settles when the server can serve, rejects with the reason when not: what Probe answers. */
  ready: () => Promise<void>;
}

export interface HealthServer {
  /** Where it listens, with the real port. */
  address: string;
  close(): Promise<void>;
}

/**
 * Serves /metrics, /healthz (the process is alive) and /readyz (Probe's answer; 503 with the reason).
 *
 * @throws StorageError failed-precondition when the address is taken or is not this host's
 */
export async function serveHealth(options: HealthOptions): Promise<HealthServer> {
  const server = createServer((request, response) => {
    void answer(options, request.method ?? "", request.url ?? "")
      .catch((error: unknown) => ({ status: 500, contentType: TEXT, body: `${messageOf(error)}\n` }))
      .then(({ status, contentType, body }) => {
        response.writeHead(status, { "content-type": contentType, ...(status === 405 ? { allow: "GET, HEAD" } : {}) });
        response.end(request.method === "HEAD" ? undefined : body);
      });
  });
  const { host, port } = splitAddress(options.address);
  await listen(server, host, port).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === "EADDRINUSE" ? "is in use" : `cannot be listened on (${error.code ?? error.message})`;
    throw new StorageError(
      "failed-precondition",
      `metricsAddress ${options.address} ${why}; choose another --metrics-address, or "" for none`,
      { cause: error },
    );
  });
  const real = (server.address() as AddressInfo).port;
  return {
    address: `${host.includes(":") ? `[${host}]` : host}:${real}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        // A scraper keeps its connection open; it must not hold up the end.
        server.closeAllConnections();
      }),
  };
}

const TEXT = "text/plain; charset=utf-8";

async function answer({ metrics, ready }: HealthOptions, method: string, url: string) {
  const text = (status: number, body: string) => ({ status, contentType: TEXT, body: `${body}\n` });
  if (method !== "GET" && method !== "HEAD") return text(405, "only GET and HEAD");
  switch (url.split("?")[0]) {
    case "/metrics":
      return { status: 200, ...(await metrics.text()) };
    case "/healthz":
      return text(200, "ok");
    case "/readyz":
      return ready().then(
        () => text(200, "ok"),
        (error: unknown) => text(503, messageOf(error)),
      );
    default:
      return text(404, "here are /metrics, /healthz and /readyz");
  }
}

/** `127.0.0.1:9810` or `[::1]:9810`; what is neither was refused by the config. */
function splitAddress(address: string): { host: string; port: number } {
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon).replace(/^\[(.*)\]$/, "$1"), port: Number(address.slice(colon + 1)) };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, exclusive: true }, resolve);
  });
}
