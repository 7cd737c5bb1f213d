import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect as connectHttp2, createServer as createHttp2Server, type Http2Server } from "node:http2";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { acceptAnyAuthority } from "../../src/runtime/http2-authority.js";
import { frame, integer, literal, PREFACE } from "./hpack-blocks.js";

let dir = "";
let path = "";
let listener: Server;
let filtered: Duplex[] = [];
let http2: Http2Server;

/** Each connection to `path` is filtered and given to `take`. */
async function listen(take: (filtered: Duplex) => void): Promise<void> {
  listener = createServer({ allowHalfOpen: true }, (socket) => {
    const one = acceptAnyAuthority(socket);
    filtered.push(one);
    take(one);
  });
  listener.listen(path);
  await once(listener, "listening");
}

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "granary-authority-"));
  path = join(dir, "csi.sock");
  filtered = [];
  http2 = createHttp2Server();
  http2.on("stream", (stream, headers) => {
    stream.respond({ ":status": 200, authority: headers[":authority"] ?? "" });
    stream.pipe(stream);
  });
});

afterEach(async () => {
  for (const one of filtered) one.destroy();
  listener.close();
  await once(listener, "close");
  rmSync(dir, { recursive: true });
});

/** Every frame that a server sends, up to `enough` of them that `isWanted`. */
async function framesFrom(socket: Socket, enough: number, isWanted: (type: number) => boolean) {
  const wanted: { type: number; stream: number }[] = [];
  let bytes = Buffer.alloc(0);
  for await (const chunk of socket) {
    bytes = Buffer.concat([bytes, chunk as Buffer]);
    while (bytes.length >= 9 && bytes.length >= 9 + bytes.readUIntBE(0, 3)) {
      const one = { type: bytes.readUInt8(3), stream: bytes.readUInt32BE(5) };
      if (isWanted(one.type)) wanted.push(one);
      bytes = bytes.subarray(9 + bytes.readUIntBE(0, 3));
    }
    if (wanted.length >= enough) break;
  }
  return wanted;
}

const [HEADERS, RST_STREAM] = [1, 3];

/** A GET on a stream of its own for each block that names the authority; the stream's answer is HEADERS or RST_STREAM. */
async function answers(authorities: readonly Buffer[]): Promise<number[]> {
  const socket = connect(path);
  const get = Buffer.of(0x82, 0x84, 0x86);
  const requests = authorities.map((one, i) => frame(HEADERS, 0x5, 2 * i + 1, Buffer.concat([get, one])));
  socket.write(Buffer.concat([PREFACE, frame(4, 0, 0, Buffer.alloc(0)), ...requests]));
  const got = await framesFrom(socket, authorities.length, (type) => type === HEADERS || type === RST_STREAM);
  socket.destroy();
  return got.sort((a, b) => a.stream - b.stream).map(({ type }) => type);
}

const authority = (value: string, change = {}) =>
  literal({
    name: ":authority",
    value,
    indexing: "plain",
    nameIndex: 1,
    nameHuffman: false,
    valueHuffman: false,
    ...change,
  });

describe("acceptAnyAuthority, before Node's HTTP/2 server", () => {
  beforeEach(() => listen((one) => http2.emit("connection", one)));

  it("a client that indexes its headers: each request arrives, with its authority repaired", async () => {
    const session = connectHttp2("http://localhost", { createConnection: () => connect(path) });
    for (const value of ["/run/a.sock", "/run/a.sock", "/run/b.sock", "localhost", "/run/a.sock", 'ü/?#{}|\\^`"<> ']) {
      const stream = session.request({ ":authority": value, "x-other": "/stays/as/it?is" });
      stream.end();
      const [headers] = await once(stream.resume(), "response");
      expect(headers[":status"]).toBe(200);
      expect(headers.authority).toBe(value.replace(/[^a-z.]/g, "-"));
    }
    session.destroy();
  });

  it("every byte is accepted in an authority, raw and Huffman-coded", async () => {
    const bytes = Array.from({ length: 256 }, (_unused, byte) => `a${String.fromCharCode(byte)}b`);
    for (const valueHuffman of [false, true]) {
      const got = await answers(bytes.map((value) => authority(value, { valueHuffman })));
      expect(got).toEqual(bytes.map(() => HEADERS));
    }
  });

  it("no authority at all, as static entry 1 or as an empty literal, is accepted", async () => {
    expect(await answers([Buffer.of(0x81), authority(""), authority("", { indexing: "never" })])).toEqual([1, 1, 1]);
  });

  it("references into the dynamic table still find what the client put there", async () => {
    const added = (value: string) => authority(value, { indexing: "added", valueHuffman: true });
    const other = literal({
      name: "x-other",
      value: "v".repeat(100),
      indexing: "added",
      nameIndex: 0,
      nameHuffman: true,
      valueHuffman: true,
    });
    const dynamic = (index: number) => integer(0x80, 7, 61 + index);
    // Entries of 4 KiB in all: the last ones push the first out, at the same place on both sides.
    const fill = Array.from({ length: 30 }, (_unused, i) => added(`/${String(i).padStart(90, "/")}`));
    const got = await answers([
      Buffer.concat([added("/run/csi.sock"), other]),
      Buffer.concat([dynamic(2), dynamic(1)]),
      ...fill,
      ...fill.map((_unused, i) => dynamic(i + 1)),
      dynamic(1),
    ]);
    expect(got).toEqual(Array.from({ length: 63 }, () => HEADERS));
  });

  it("bodies of megabytes come back unchanged", async () => {
    const session = connectHttp2("http://localhost", { createConnection: () => connect(path) });
    const body = Buffer.from(Uint32Array.from({ length: 2 ** 20 }, (_unused, i) => i * 2_654_435_761).buffer);
    const stream = session.request({ ":method": "POST", ":authority": "/run/csi.sock" });
    stream.end(body);
    const parts: Buffer[] = [];
    for await (const part of stream) parts.push(part as Buffer);
    expect(Buffer.concat(parts).equals(body)).toBe(true);
    session.destroy();
  });

  it.each([
    ["ends its side", (socket: Socket) => socket.end()],
    ["vanishes", (socket: Socket) => socket.destroy()],
  ])("a client that %s in the middle of a header block leaves no connection", async (_what, leave) => {
    const socket = connect(path);
    socket.write(Buffer.concat([PREFACE, frame(4, 0, 0, Buffer.alloc(0)), Buffer.of(0, 0, 9, 1, 4)]));
    await once(socket, "data");
    leave(socket.resume());
    await closed(filtered[0] as Duplex);
    expect(await connections()).toBe(0);
  });
});

/** Also with an error: what was still to be written to a client that is gone. */
const closed = (one: Duplex) =>
  new Promise<void>((resolve) => void (one.closed ? resolve() : one.once("close", resolve)));

/** All that is read to the end; the other direction stays open, as it would not after `for await`. */
async function readAll(from: Duplex): Promise<string> {
  const parts: Buffer[] = [];
  from.on("data", (part: Buffer) => parts.push(part));
  await once(from, "end");
  return Buffer.concat(parts).toString();
}

/** How many the listener has, once those that are closing have closed. */
async function connections(): Promise<number> {
  await new Promise((resolve) => setImmediate(resolve));
  return new Promise((resolve, reject) =>
    listener.getConnections((error, count) => (error ? reject(error) : resolve(count))),
  );
}

describe("acceptAnyAuthority, both directions", () => {
  let ours: Duplex;
  let client: Socket;
  beforeEach(async () => {
    const taken = new Promise<Duplex>((resolve) => void listen(resolve));
    await once(listener, "listening");
    client = connect(path);
    ours = await taken;
  });
  afterEach(() => void client.destroy());

  it("a reader that stops holds the other side back", async () => {
    const part = Buffer.alloc(64 * 1024, 1);
    for (const [from, to] of [
      [client, ours],
      [ours, client],
    ] as const) {
      let sent = 0;
      while (from.write(part)) {
        sent += part.length;
        await new Promise((resolve) => setImmediate(resolve));
        expect(sent).toBeLessThan(16 * 1024 ** 2);
      }
      sent += part.length;
      let got = 0;
      for (to.resume(); got < sent; ) got += ((await once(to, "data")) as [Buffer])[0].length;
      to.pause();
      expect(got).toBe(sent);
    }
  });

  it("an end of one direction leaves the other open", async () => {
    client.end("last words");
    expect(await readAll(ours)).toBe("last words");
    ours.end("answer");
    expect(await readAll(client)).toBe("answer");
    await closed(ours);
    expect(await connections()).toBe(0);
  });

  it("a destroy of one side closes the other", async () => {
    ours.destroy();
    await once(client.resume(), "close");
    expect(await connections()).toBe(0);
  });

  it("a write to a client that is gone fails, and closes", async () => {
    client.destroy();
    await once(client, "close");
    const failed = once(ours, "error");
    const write = () => {
      if (!ours.destroyed) ours.write(Buffer.alloc(1024), () => setImmediate(write));
    };
    write();
    expect((await failed)[0]).toMatchObject({ code: expect.stringMatching(/EPIPE|ECONNRESET/) });
    expect(await connections()).toBe(0);
  });
});
