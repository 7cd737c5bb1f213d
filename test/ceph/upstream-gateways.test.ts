import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import {
  createServer as createHttpServer,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connectAdmin } from "../../src/cli/admin-client.js";
import type { UpstreamSettings } from "../../src/engines/s3/client.js";
import { type RawRequest, rawRequest } from "../s3/exact-request.js";
import { granary, type S3Server, startS3 } from "../s3/harness.js";
import { UpstreamWorld } from "./upstream-world.js";

let world: UpstreamWorld;
let tap: Tap;
let [one, other] = [] as unknown as [S3Server, S3Server];

const environment = (settings: UpstreamSettings, endpoint = settings.endpoint) => ({
  GRANARY_OBJECT_ENGINE: "s3",
  GRANARY_S3_UPSTREAM_ENDPOINT: endpoint,
  GRANARY_S3_UPSTREAM_ACCESS_KEY: settings.accessKey,
  GRANARY_S3_UPSTREAM_SECRET_KEY: settings.secretKey,
  GRANARY_S3_UPSTREAM_REGION: settings.region,
  GRANARY_S3_UPSTREAM_PREFIX: settings.prefix,
  // Of one key pair, so that a test's request may go to either gateway.
  GRANARY_ROOT_ACCESS_KEY: "ROOTTESTKEY",
  GRANARY_ROOT_SECRET_KEY: "root-secret-of-this-test",
});

/** The upstream's address as a gateway knows it, which a test may close: every connection ends, and none is taken. */
class Tap {
  readonly #port: number;
  readonly #host: string;
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  port = 0;

  constructor(endpoint: string) {
    const { hostname, port } = new URL(endpoint);
    this.#host = hostname;
    this.#port = Number(port);
  }

  open(): Promise<void> {
    const server = createServer((socket) => {
      const onward = connect(this.#port, this.#host);
      for (const [from, to] of [
        [socket, onward],
        [onward, socket],
      ] as const) {
        this.#sockets.add(from);
        from.on("error", () => to.destroy());
        from.on("close", () => {
          this.#sockets.delete(from);
          to.destroy();
        });
        from.pipe(to);
      }
    });
    this.#server = server;
    return new Promise((resolve) =>
      server.listen(this.port, "127.0.0.1", () => {
        this.port = (server.address() as AddressInfo).port;
        resolve();
      }),
    );
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server?.close(() => resolve());
      for (const socket of this.#sockets) socket.destroy();
    });
  }
}

beforeAll(async () => {
  world = new UpstreamWorld();
  tap = new Tap(world.settings.endpoint);
  await tap.open();
  const env = environment(world.settings);
  one = await startS3({ flags: ["--workers", "2"], env });
  other = await startS3({
    flags: ["--workers", "1"],
    env: environment(world.settings, `http://127.0.0.1:${tap.port}`),
  });
});
afterAll(async () => {
  await one?.remove();
  await other?.remove();
  await tap.close();
  await world.remove();
});

const name = () => `b${randomBytes(4).toString("hex")}`;
const send = (server: S3Server, target: string, options: Omit<RawRequest, "target"> = {}) =>
  rawRequest(server, { ...options, target });
const keys = (n: string) => ({ accessKey: `AK${n}`, secretKey: `secret-of-${n}-and-more` });

describe("two gateways on one upstream", () => {
  it("a user made on one is served by the same at once, by the other within a second, and by neither when it is gone", async () => {
    const n = name();
    const admin = await connectAdmin(one.dataDir);
    await admin.call("POST", "/v1/users", { name: n, ...keys(n) });
    const list = async (server: S3Server) => (await send(server, "/", { as: keys(n) })).code || "served";
    for (let i = 0; i < 4; i++) expect(await list(one)).toBe("served");
    await expect.poll(() => list(other), { timeout: 3_000, interval: 100 }).toBe("served");
    await (await connectAdmin(other.dataDir)).call("DELETE", `/v1/users/${n}`);
    expect(await list(other)).toBe("InvalidAccessKeyId");
    await expect.poll(() => list(one), { timeout: 3_000, interval: 100 }).toBe("InvalidAccessKeyId");
  });

  it("edits of one user by 20 racers on both are all there", async () => {
    const n = name();
    const admins = await Promise.all([one, other].map(({ dataDir }) => connectAdmin(dataDir)));
    await admins[0]?.call("POST", "/v1/users", { name: n, ...keys(n) });
    const document = JSON.stringify({
      Version: "2012-10-17",
      Statement: [{ Effect: "Allow", Action: "s3:GetObject", Resource: "*" }],
    });
    const names = Array.from({ length: 20 }, (_, i) => `p${i}`);
    await Promise.all(
      names.map((policy, i) => admins[i % 2]?.call("PUT", `/v1/users/${n}/policies/${policy}`, { document })),
    );
    const user = await admins[1]?.call<{ policies: { name: string }[] }>("GET", `/v1/users/${n}`);
    expect(user?.policies.map((policy) => policy.name).sort()).toEqual(names.sort());
  });

  it("an object, its bucket's policy and its versions are the same on both", async () => {
    const b = name();
    expect((await send(one, `/${b}`, { method: "PUT" })).status).toBe(200);
    expect((await send(one, `/${b}/k`, { method: "PUT", body: "hello" })).status).toBe(200);
    expect((await send(other, `/${b}/k`)).text).toBe("hello");
    const body = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    expect((await send(other, `/${b}?versioning`, { method: "PUT", body })).status).toBe(200);
    const status = async () => (await send(one, `/${b}?versioning`)).text.includes("Enabled");
    await expect.poll(status, { timeout: 3_000, interval: 100 }).toBe(true);
  });

  it("while the upstream is away: 503 with why; when it is back, the same request works", async () => {
    const b = name();
    await send(one, `/${b}`, { method: "PUT" });
    expect((await send(other, `/${b}/k`, { method: "PUT", body: "1" })).status).toBe(200);
    await tap.close();
    const refused = await send(other, `/${b}/k`, { method: "PUT", body: "2" });
    expect([refused.status, refused.text]).toEqual([503, expect.stringContaining("does not answer")]);
    expect((await send(other, `/${b}/k`)).status).toBe(503);
    expect((await send(one, `/${b}/k`)).text).toBe("1");
    await tap.open();
    expect((await send(other, `/${b}/k`, { method: "PUT", body: "2" })).status).toBe(200);
    expect((await send(one, `/${b}/k`)).text).toBe("2");
  });

  it("granary doctor: what it finds of the upstream, and that it is away", async () => {
    const dataDir = join(one.dir, "doctor");
    mkdirSync(dataDir);
    const look = (endpoint?: string) => {
      const env = environment(world.settings, endpoint);
      const { stdout } = granary(["doctor", "--data-dir", dataDir, "-o", "json"], env);
      const { findings } = JSON.parse(stdout) as { findings: { check: string }[] };
      return findings.map(({ check }) => check).filter((check) => /upstream|bucket/.test(check));
    };
    expect(look()).toEqual([]);
    expect(look("http://127.0.0.1:1")).toEqual(["upstream-unavailable"]);
  });
});

/** A service that stores what it is given and looks at no condition. */
function careless(): Promise<HttpServer> {
  const stored = new Map<string, Buffer>();
  const bodyOf = async (request: IncomingMessage) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
    return Buffer.concat(chunks);
  };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const key = (request.url ?? "").split("?")[0] ?? "";
    if (request.method === "PUT") stored.set(key, await bodyOf(request));
    const found = stored.get(key);
    response.writeHead(found || request.method === "DELETE" ? 200 : 404, { etag: '"0"' });
    response.end(found);
  };
  const server = createHttpServer((request, response) => void answer(request, response));
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

describe("an upstream without conditional PUT", () => {
  it("the gateway does not start, and says why", async () => {
    const server = await careless();
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const started = startS3({ env: environment(world.settings, endpoint) });
    await expect(started).rejects.toThrow(/has no conditional PUT, which Granary needs/);
    server.closeAllConnections();
    server.close();
  });
});
