import { once } from "node:events";
import { existsSync, lstatSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Client,
  credentials,
  Server,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Listener, listen } from "../../src/runtime/listen.js";

const same = (bytes: Buffer) => bytes;
const METHOD = {
  path: "/test.Echo/Say",
  requestStream: false,
  responseStream: false,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
};

let dir = "";
let path = "";
let server: Server;
let listener: Listener | null = null;
let held: (() => void)[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "granary-listen-"));
  path = join(dir, "run", "csi.sock");
  server = new Server();
  held = [];
  server.addService({ Say: METHOD } as ServiceDefinition, {
    Say: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => {
      if (call.request.toString() === "wait") held.push(() => answer(null, call.request));
      else answer(null, call.request);
    },
  });
});

afterEach(() => {
  listener?.close();
  listener = null;
  server.forceShutdown();
  rmSync(dir, { recursive: true });
});

function say(client: Client, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(METHOD.path, same, same, Buffer.from(text), (error, answer) =>
      error ? reject(error) : resolve(String(answer)),
    );
  });
}
const newClient = () => new Client(`unix://${path}`, credentials.createInsecure());

describe("listen", () => {
  it("makes the folder, and a socket that gRPC answers on", async () => {
    listener = await listen(server, `unix://${path}`);
    expect(lstatSync(path).isSocket()).toBe(true);
    const client = newClient();
    expect(await say(client, "hello")).toBe("hello");
    client.close();
  });

  it("a dead server's socket is replaced; a file of another kind is left alone", async () => {
    path = join(dir, "csi.sock");
    const dead = createServer().listen(join(dir, "alive.sock"));
    await once(dead, "listening");
    renameSync(join(dir, "alive.sock"), path);
    dead.close();
    expect(lstatSync(path).isSocket()).toBe(true);
    listener = await listen(server, `unix://${path}`);
    const client = newClient();
    expect(await say(client, "hello")).toBe("hello");
    client.close();

    const file = join(dir, "file.sock");
    writeFileSync(file, "mine");
    await expect(listen(server, `unix://${file}`)).rejects.toMatchObject({ code: "failed-precondition" });
    expect(readFileSync(file, "utf8")).toBe("mine");
  });

  it("a path that cannot be listened on: failed-precondition, naming it", async () => {
    await expect(listen(server, "unix:///proc/self/csi.sock")).rejects.toMatchObject({
      code: "failed-precondition",
      message: expect.stringContaining("/proc/self/csi.sock"),
    });
  });

  it("close refuses new connections, and the call in flight completes", async () => {
    listener = await listen(server, `unix://${path}`);
    const client = newClient();
    const waiting = say(client, "wait");
    while (held.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    listener.close();
    expect(existsSync(path)).toBe(false);
    const drained = new Promise<void>((resolve, reject) =>
      server.tryShutdown((error) => (error ? reject(error) : resolve())),
    );
    const late = newClient();
    await expect(say(late, "hello")).rejects.toMatchObject({ code: status.UNAVAILABLE });
    late.close();
    for (const answer of held) answer();
    expect(await waiting).toBe("wait");
    client.close();
    await drained;
  });

  it("clients that come and go leave no connection", async () => {
    listener = await listen(server, `unix://${path}`);
    const pipes = () => process.getActiveResourcesInfo().filter((name) => name === "PipeWrap").length;
    const before = pipes();
    for (let i = 0; i < 20; i++) {
      const client = newClient();
      expect(await say(client, "hello")).toBe("hello");
      client.close();
    }
    while (pipes() > before) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(pipes()).toBe(before);
  });
});
