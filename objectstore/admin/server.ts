/**
 * The admin API: JSON over HTTP on a unix socket that its owner alone can open, for requests that carry the token which
 * this start left in a file of the data dir. Nothing is answered, not even which routes there are, without the token.
 */
import * as fs from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { dirname, join } from "node:path";
import type { Logger } from "pino";
import type { IdentityStore } from "../../src/engines/identity-store.js";
import type { ObjectEngine } from "../../src/engines/object-engine.js";
import { invalid, messageOf, notFound, StorageError } from "../../src/errors/storage-error.js";
import { newRequestId } from "../random-keys.js";
import type { GatewaySettings } from "../types.js";
import { answerOf, errorOf, readBody, sendJson, sendLines } from "./answer.js";
import { bucketRoutes } from "./buckets.js";
import { keyRoutes } from "./keys.js";
import { policyRoutes } from "./policies.js";
import { type AdminCall, type AdminWorld, findRoute, type Route } from "./route.js";
import { scrubRoutes } from "./scrub.js";
import { type AdminToken, makeToken } from "./token.js";
import { userRoutes } from "./users.js";

export interface AdminOptions {
  dataDir: string;
  engine: ObjectEngine;
  identities: IdentityStore;
  settings: Pick<GatewaySettings, "region" | "rootUserId">;
  /** No user may have it. */
  rootAccessKey: string;
  log: Logger;
}

export interface AdminServer {
  readonly socketPath: string;
  readonly tokenFile: string;
  close(): Promise<void>;
}

const ROUTES: readonly Route[] = [...userRoutes, ...keyRoutes, ...policyRoutes, ...bucketRoutes, ...scrubRoutes];
// sun_path of Linux, less its closing zero.
const MAX_SOCKET_PATH = 107;

/**
 * Serves the API in `<data-dir>/objects`. The data dir is this process's: a socket that lies there is a dead server's.
 *
 * @throws StorageError failed-precondition when the socket cannot be listened on
 */
export async function serveAdmin(options: AdminOptions): Promise<AdminServer> {
  const { dataDir, engine, identities, settings, rootAccessKey, log } = options;
  const socketPath = join(dataDir, "objects", "admin.sock");
  const tokenFile = join(dataDir, "objects", "admin-token");
  const world: AdminWorld = {
    ...{ engine, identities, region: settings.region },
    root: { id: settings.rootUserId, name: "root", accessKey: rootAccessKey },
  };
  if (Buffer.byteLength(socketPath) > MAX_SOCKET_PATH)
    throw new StorageError(
      "failed-precondition",
      `the admin socket's path is longer than a unix socket's ${MAX_SOCKET_PATH} bytes: ${socketPath}; choose a shorter --data-dir`,
    );
  // Nobody else may as much as look for the socket between its making and its chmod.
  await fs.mkdir(dirname(socketPath), { recursive: true, mode: 0o700 });
  const token = await makeToken(tokenFile);
  await fs.rm(socketPath, { force: true });
  const server = createServer({ requestTimeout: 60_000, headersTimeout: 10_000 }, (request, response) => {
    void answer({ world, token, log }, request, response).catch((error: unknown) => {
      log.warn(`admin request failed: ${messageOf(error)}`);
      response.destroy();
    });
  });
  await listen(server, socketPath);
  await fs.chmod(socketPath, 0o600);
  return {
    socketPath,
    tokenFile,
    close: async () => {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        // A scrub may take hours: its client is told by the end of the connection.
        server.closeAllConnections();
      });
      await fs.rm(tokenFile, { force: true });
    },
  };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) =>
      reject(new StorageError("failed-precondition", `cannot listen on ${path}: ${messageOf(error)}`)),
    );
    server.listen(path, resolve);
  });
}

async function answer(
  { world, token, log: serverLog }: { world: AdminWorld; token: AdminToken; log: Logger },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const requestId = newRequestId();
  const log = serverLog.child({ requestId });
  const gone = new AbortController();
  response.on("close", () => gone.abort(new StorageError("cancelled", "the client has gone")));
  try {
    if (!token.matches(request.headers.authorization)) {
      response.setHeader("connection", "close");
      sendJson(response, 401, { code: "unauthenticated", message: "the admin API needs the token of this start" });
      return;
    }
    const [path = "", search = ""] = (request.url ?? "").split("?");
    const found = findRoute(ROUTES, request.method ?? "", path);
    if (found === "method") throw new StorageError("unimplemented", `${path} has no ${request.method}`);
    if (!found) throw notFound(`the admin API has no ${path.slice(0, 200)}`);
    const body = await readBody(request);
    const call = callOf(world, { log, requestId, signal: gone.signal, params: found.params, search, body });
    await world.identities.fresh?.(call);
    const result = found.route.run(call);
    if (Symbol.asyncIterator in result) await sendLines(response, result);
    else sendJson(response, 200, (await result) ?? {});
    if (found.route.method !== "GET") log.info(`admin: ${request.method} ${path}`);
  } catch (error) {
    const { status, view } = errorOf(error, requestId);
    if (status === 500) log.error({ err: error }, "admin request failed");
    answerOf(response, status, view);
  }
}

function callOf(
  world: AdminWorld,
  parts: {
    log: Logger;
    requestId: string;
    signal: AbortSignal;
    params: ReadonlyMap<string, string>;
    search: string;
    body: unknown;
  },
): AdminCall {
  const { log, requestId, signal, params, search, body } = parts;
  const query = new URLSearchParams(search);
  return {
    ...{ log, requestId, signal, world },
    param: (name) => params.get(name) ?? "",
    query: (name) => query.get(name) ?? undefined,
    body: (schema) => {
      const parsed = schema.safeParse(body ?? {});
      if (parsed.success) return parsed.data;
      const issue = parsed.error.issues[0];
      // zod's messages name types and limits, never the value, which may be a secret.
      throw invalid(`${issue?.path.join(".") || "body"}: ${issue?.message ?? "invalid"}`);
    },
  };
}
