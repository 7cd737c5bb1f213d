import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { openBody } from "../../objectstore/body/open-body.js";
import { parseTarget } from "../../objectstore/http/target.js";
import type { Payload, RequestBody } from "../../objectstore/types.js";
import type { BodySource } from "../../src/engines/object-engine.js";
import { S3Error } from "../../src/errors/s3-error.js";
import type { ChecksumAlgorithm } from "../../src/model/object.js";
import { sha256 } from "./s3-requests.js";

export interface Upload {
  payload?: Payload;
  headers?: Record<string, string>;
  /** Written one after the other, each in a segment of its own where `apart`. */
  body?: readonly (Buffer | string)[];
  apart?: boolean;
  /** The client hangs up after what it wrote. */
  hangUp?: boolean;
  /** Instead of a Content-Length of what is written. */
  contentLength?: number | null;
}

/** What a handler did with the body, or the code of the S3Error it met. */
export type Outcome<T> = { value: T } | { code: string; message: string; fields: Readonly<Record<string, string>> };

/** A real server and a bare socket as its client: each upload is one request, and the outcome is the handler's. */
export class BodyServer {
  private readonly server: Server = createServer();

  static async start(): Promise<BodyServer> {
    const made = new BodyServer();
    made.server.listen(0, "127.0.0.1");
    await once(made.server, "listening");
    return made;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, "close");
  }

  async send<T>(
    upload: Upload,
    handle: (body: RequestBody, message: IncomingMessage) => Promise<T>,
  ): Promise<Outcome<T>> {
    const outcome = new Promise<Outcome<T>>((resolve, reject) => {
      this.server.once("request", (message, response) => {
        const headers = new Map(Object.entries(message.headers).map(([name, value]) => [name, String(value)]));
        const target = parseTarget("/bucket/key", "localhost", []);
        const known = { id: "t", method: "PUT", headers, clientAddress: "", secure: false };
        const body = openBody({ ...known, ...target, message }, upload.payload ?? { kind: "unsigned" });
        handle(body, message)
          .then((value) => resolve({ value }))
          .catch((error: unknown) => {
            if (error instanceof S3Error) resolve({ code: error.code, message: error.message, fields: error.fields });
            else reject(error as Error);
          })
          .finally(() => response.end());
      });
    });
    const socket = connect((this.server.address() as AddressInfo).port, "127.0.0.1");
    socket.on("error", () => {});
    socket.setNoDelay(true);
    await once(socket, "connect");
    const pieces = (upload.body ?? []).map((piece) => Buffer.from(piece));
    socket.write(head(upload, Buffer.concat(pieces).length));
    for (const piece of pieces) {
      socket.write(piece);
      if (upload.apart) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    if (upload.hangUp) socket.end();
    try {
      return await outcome;
    } finally {
      socket.destroy();
    }
  }
}

function head(upload: Upload, written: number): string {
  const length = upload.contentLength === undefined ? written : upload.contentLength;
  const headers = {
    host: "localhost",
    ...(length === null ? {} : { "content-length": String(length) }),
    ...upload.headers,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `PUT /bucket/key HTTP/1.1\r\n${lines.join("")}\r\n`;
}

/** Reads a body as an engine does: whole, and then its digests. */
export async function store(body: RequestBody, algorithm: ChecksumAlgorithm = "CRC64NVME", limitBytes = 2 ** 30) {
  const source = await body.source({ algorithm, limitBytes });
  const bytes = await bytesOf(source);
  const digest = await source.finish();
  // Their hash, since comparing buffers byte by byte takes a test runner seconds.
  return { sha256: sha256(bytes), digest, lengthBytes: source.lengthBytes, whole: Buffer.isBuffer(source.bytes) };
}

export async function bytesOf(source: BodySource): Promise<Buffer> {
  if (Buffer.isBuffer(source.bytes)) return source.bytes;
  const pieces: Buffer[] = [];
  for await (const piece of source.bytes) pieces.push(piece);
  return Buffer.concat(pieces);
}
