import { createHmac } from "node:crypto";
import { connect } from "node:net";
import { chunkKey, sha256, signatureOf } from "../unit/s3-requests.js";
import type { S3Server } from "./harness.js";

export interface RawRequest {
  method?: string;
  /** Path and query as they stand on the request line. */
  target: string;
  /** The canonical path, where it is not the target's. */
  canonicalPath?: string;
  /** The canonical query, where it is not the target's. */
  query?: string;
  headers?: Record<string, string>;
  /** x-amz-content-sha256. */
  payload?: string;
  body?: Buffer | string;
  /** Signs with another secret. */
  secretKey?: string;
}

export interface RawAnswer {
  status: number;
  headers: Map<string, string>;
  body: Buffer;
}

const timestampOf = (date: Date): string => date.toISOString().replace(/[-:]|\.\d+/g, "");

/** The head of a signed request, byte for byte, and what chunks after it are signed with. */
export function signedHead(server: S3Server, request: RawRequest) {
  const { method = "GET", target, payload = "UNSIGNED-PAYLOAD", body = "" } = request;
  const timestamp = timestampOf(new Date());
  const headers: Record<string, string> = {
    ...{ host: `127.0.0.1:${server.port}`, "x-amz-content-sha256": payload, "x-amz-date": timestamp },
    ...request.headers,
  };
  const [path = "", query = ""] = target.split("?");
  const canonicalQuery = request.query ?? query;
  const names = Object.keys(headers).sort();
  const lines = names.map((name) => `${name}:${headers[name]}\n`).join("");
  const canonical = `${method}\n${request.canonicalPath ?? path}\n${canonicalQuery}\n${lines}\n${names.join(";")}\n${payload}`;
  const secret = request.secretKey ?? server.secretKey;
  const signature = signatureOf(canonical, { secret, timestamp, region: server.region });
  const scope = `${timestamp.slice(0, 8)}/${server.region}/s3/aws4_request`;
  const credential = `Credential=${server.accessKey}/${scope}`;
  const authorization = `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=${names.join(";")}, Signature=${signature}`;
  const sent = { "content-length": String(Buffer.byteLength(body)), ...headers, authorization };
  const head = Object.entries(sent).map(([name, value]) => `${name}: ${value}\r\n`);
  return {
    head: `${method} ${target} HTTP/1.1\r\n${head.join("")}\r\n`,
    ...{ signature, timestamp, scope, key: chunkKey(secret, timestamp.slice(0, 8), server.region) },
  };
}

/** A request that no client library would send. */
export function sendRaw(server: S3Server, request: RawRequest): Promise<RawAnswer> {
  return exchange(
    server,
    Buffer.concat([Buffer.from(signedHead(server, request).head), Buffer.from(request.body ?? "")]),
  );
}

/** Sends bytes, and reads one answer. */
export async function exchange(server: S3Server, bytes: Buffer | string): Promise<RawAnswer> {
  const [answer] = await exchangeSeveral(server, bytes, 1);
  return answer as RawAnswer;
}

/** Sends requests on one connection, and reads so many answers. */
export function exchangeSeveral(server: S3Server, bytes: Buffer | string, count: number): Promise<RawAnswer[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(server.port, "127.0.0.1");
    const answers: RawAnswer[] = [];
    let got = Buffer.alloc(0);
    socket.on("error", reject);
    socket.on("data", (more) => {
      got = Buffer.concat([got, more]);
      for (let next = takeAnswer(got); next && answers.length < count; next = takeAnswer(got)) {
        answers.push(next.answer);
        got = next.rest;
      }
      if (answers.length < count) return;
      socket.destroy();
      resolve(answers);
    });
    socket.on("end", () => reject(new Error(`the server ended the connection after: ${got.toString("latin1")}`)));
    socket.write(bytes);
  });
}

function takeAnswer(bytes: Buffer): { answer: RawAnswer; rest: Buffer<ArrayBuffer> } | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [statusLine = "", ...lines] = bytes.toString("latin1", 0, end).split("\r\n");
  const status = Number(statusLine.split(" ")[1]);
  const pairs = lines.map((line): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  const headers = new Map(pairs);
  const length = status === 204 || status === 304 ? 0 : Number(headers.get("content-length") ?? 0);
  const from = end + 4;
  if (bytes.length < from + length) return undefined;
  return {
    answer: { status, headers, body: bytes.subarray(from, from + length) },
    rest: Buffer.from(bytes.subarray(from + length)),
  };
}

/** A body in signed chunks (S3 API, "Transferring Payload in Multiple Chunks"). */
export function signedChunks(seed: ReturnType<typeof signedHead>, chunks: readonly Buffer[]): Buffer {
  let previous = seed.signature;
  const encoded = [...chunks, Buffer.alloc(0)].map((chunk) => {
    const text = `AWS4-HMAC-SHA256-PAYLOAD\n${seed.timestamp}\n${seed.scope}\n${previous}\n${sha256("")}\n${sha256(chunk)}`;
    previous = createHmac("sha256", seed.key).update(text).digest("hex");
    return Buffer.concat([
      Buffer.from(`${chunk.length.toString(16)};chunk-signature=${previous}\r\n`),
      chunk,
      Buffer.from("\r\n"),
    ]);
  });
  return Buffer.concat(encoded);
}
