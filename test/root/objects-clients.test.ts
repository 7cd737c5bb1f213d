import { connect, type Socket } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type S3Server, startS3 } from "../s3/harness.js";
import { type Call, ObjectClient } from "./objects-client.js";
import { bodyFiles, connectionsOf, peakBytes, workersOf } from "./objects-disk-world.js";

const MIB = 1024 ** 2;
const MOST_RESIDENT = 512 * MIB;
/** How long a connection may stand still; its end is noticed at the next of the server's looks. */
const STALL_MS = 1000;
const ENDED_MS = 10_000;

let server: S3Server;
let client: ObjectClient;
const sockets = new Set<Socket>();

async function start(env: Record<string, string>): Promise<void> {
  server = await startS3({ flags: ["--workers", "2"], env });
  client = new ObjectClient(server);
  await client.makeBucket("bucket");
}

afterEach(() => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
});

function open(): Socket {
  const socket = connect({ host: "127.0.0.1", port: server.port });
  socket.on("error", () => undefined);
  sockets.add(socket);
  return socket;
}

function headOf(call: Call): string {
  const lines = Object.entries(client.headersOf(call)).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${call.method} ${call.path} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

/** Sends a request's head, and so much of its body as is given. */
function send(call: Call, body: Buffer): Socket {
  const socket = open();
  socket.write(headOf(call));
  socket.write(body);
  return socket;
}

const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.destroyed) resolve();
    else socket.once("close", () => resolve());
  });

async function everyoneElseIsServed(): Promise<void> {
  await client.put("bucket", "other", Buffer.alloc(300_000, 3));
  expect((await client.get("bucket", "other"))?.equals(Buffer.alloc(300_000, 3))).toBe(true);
  await client.remove("bucket", "other");
}

async function nothingIsLeft(): Promise<void> {
  await expect.poll(() => bodyFiles(server.dataDir).size, { timeout: ENDED_MS, interval: 100 }).toBe(0);
}

describe("clients that stall", () => {
  beforeAll(() => start({ GRANARY_STALL_TIMEOUT: `${STALL_MS}ms` }));
  afterAll(async () => {
    client.close();
    await server.remove();
  });

  it.each([0, 10, 100_000, 3 * MIB])(
    "300 uploads that stop after %i bytes: ended, nothing is left of them",
    async (bytes) => {
      const call = { method: "PUT", path: "/bucket/stalled", lengthBytes: 5 * MIB };
      const stalled = Array.from({ length: 300 }, () => send(call, Buffer.alloc(bytes)));
      for (const socket of stalled) socket.resume();
      await everyoneElseIsServed();
      await Promise.all(stalled.map(closed));
      await nothingIsLeft();
      expect(await client.get("bucket", "stalled")).toBeUndefined();
      for (const pid of workersOf(server)) expect(peakBytes(pid)).toBeLessThan(MOST_RESIDENT);
    },
  );

  it("300 downloads of 64 MiB whose clients read nothing: ended, in bounded memory", async () => {
    await client.put("bucket", "large", Buffer.alloc(64 * MIB, 7));
    const call = { method: "GET", path: "/bucket/large" };
    const stalled = Array.from({ length: 300 }, () => send(call, Buffer.alloc(0)));
    await everyoneElseIsServed();
    // A socket that is not read does not say that it was closed, so the server's side is looked at.
    const open = () => connectionsOf(server.port, new Set(stalled.map(({ localPort }) => localPort ?? 0)));
    await expect.poll(open, { timeout: ENDED_MS, interval: 100 }).toBe(0);
    for (const pid of workersOf(server)) expect(peakBytes(pid)).toBeLessThan(MOST_RESIDENT);
    await client.remove("bucket", "large");
    await nothingIsLeft();
  });

  it("a request's head that never ends: ended", async () => {
    const socket = open();
    socket.write("PUT /bucket/key HTTP/1.1\r\nhost: 127.0.0.1\r\nx-a: ");
    socket.resume();
    await closed(socket);
  });
});

describe("clients that are many, or lie", () => {
  beforeAll(() => start({}));
  afterAll(async () => {
    client.close();
    await server.remove();
  });

  it("10,000 idle connections: a request is served as before, in bounded memory", async () => {
    const idle = 10_000;
    for (let i = 0; i < idle; i += 500) {
      const opened = Array.from({ length: 500 }, open);
      await Promise.all(
        opened.map((socket) => new Promise<void>((resolve) => socket.once("connect", () => resolve()))),
      );
    }
    await everyoneElseIsServed();
    const alive = [...sockets].filter((socket) => !socket.destroyed);
    expect(alive.length).toBe(idle);
    for (const pid of workersOf(server)) expect(peakBytes(pid)).toBeLessThan(MOST_RESIDENT);
    // Those that had been idle are as good as new ones.
    const [late] = alive as [Socket];
    const answered = new Promise<string>((resolve) => late.once("data", (data) => resolve(String(data))));
    late.write(headOf({ method: "HEAD", path: "/bucket" }));
    expect(await answered).toMatch(/^HTTP\/1.1 200/);
  });

  it.each([
    ["small", 5000],
    ["large", 5 * MIB],
  ])("a %s body that ends before its declared length: nothing is stored, nothing is left", async (_size, bytes) => {
    const call = { method: "PUT", path: "/bucket/short", lengthBytes: bytes };
    const ended = send(call, Buffer.alloc(bytes - 1));
    ended.resume();
    ended.end();
    const cut = send(call, Buffer.alloc(bytes - 1));
    setTimeout(() => cut.destroy(), 50);
    await Promise.all([closed(ended), closed(cut)]);
    await nothingIsLeft();
    expect(await client.get("bucket", "short")).toBeUndefined();
  });

  it.each([
    ["small", 5000],
    ["large", 5 * MIB],
  ])(
    "a %s body that goes on behind its declared length: refused, and stored as declared or not at all",
    async (_size, bytes) => {
      const call = { method: "PUT", path: "/bucket/long", lengthBytes: bytes };
      const socket = send(call, Buffer.alloc(bytes, 65));
      socket.write("this is no request\r\n\r\n");
      let text = "";
      socket.on("data", (data) => {
        text += String(data);
      });
      await closed(socket);
      const answers = text.split("\r\n").filter((line) => line.startsWith("HTTP/1.1"));
      expect(answers.at(-1)).toBe("HTTP/1.1 400 Bad Request");
      const stored = await client.get("bucket", "long");
      if (stored !== undefined) expect(stored.equals(Buffer.alloc(bytes, 65))).toBe(true);
      if (answers[0] === "HTTP/1.1 200 OK") expect(stored).toBeDefined();
      await client.remove("bucket", "long");
      await nothingIsLeft();
    },
  );
});
