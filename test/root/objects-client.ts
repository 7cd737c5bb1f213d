import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import { pipeline } from "node:stream/promises";
import { amzDate, encodePath, encodeQuery, signer } from "../bench/objects/sigv4.js";
import type { S3Server } from "../s3/harness.js";

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

export interface Call {
  method: string;
  /** Decoded: `/bucket/key`. */
  path: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: Buffer | AsyncIterable<Buffer>;
  /** Needed where the body is no Buffer. */
  lengthBytes?: number;
  signal?: AbortSignal;
}

/** S3 requests as they go over the wire, with the root user's signature. A connection that breaks rejects. */
export class ObjectClient {
  readonly #server: S3Server;
  readonly #agent: Agent;

  constructor(server: S3Server, maxSockets = 256) {
    this.#server = server;
    this.#agent = new Agent({ keepAlive: true, maxSockets });
  }

  close(): void {
    this.#agent.destroy();
  }

  /** What a request has beside its body, for those who write it by themselves. */
  headersOf({ method, path, query = {}, headers = {}, body, lengthBytes }: Call): Record<string, string> {
    const { accessKey, secretKey, region, port } = this.#server;
    const dateTime = amzDate(new Date());
    const signed = {
      ...headers,
      host: `127.0.0.1:${port}`,
      "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
      "x-amz-date": dateTime,
    };
    const authorization = signer({ accessKey, secretKey, region }, dateTime)({ method, path, query, headers: signed });
    const length = lengthBytes ?? (Buffer.isBuffer(body) ? body.length : 0);
    return {
      ...signed,
      authorization,
      ...(method === "PUT" || method === "POST" ? { "content-length": String(length) } : {}),
    };
  }

  /** Settles when the answer's head is there; its body is the caller's to read. */
  start(call: Call): Promise<IncomingMessage> {
    const search = encodeQuery(call.query ?? {});
    const target = `${encodePath(call.path)}${search && `?${search}`}`;
    const { body, signal } = call;
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          ...{ host: "127.0.0.1", port: this.#server.port, agent: this.#agent },
          ...{ method: call.method, path: target, headers: this.headersOf(call) },
          ...(signal ? { signal } : {}),
        },
        resolve,
      );
      sent.on("error", reject);
      if (body === undefined || Buffer.isBuffer(body)) sent.end(body);
      else pipeline(body, sent).catch(reject);
    });
  }

  async call(call: Call): Promise<Answer> {
    const answer = await this.start(call);
    const pieces: Buffer[] = [];
    for await (const piece of answer) pieces.push(piece as Buffer);
    if (!answer.complete) throw new Error("the answer was cut short");
    return { status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(pieces) };
  }

  /** @throws Error where the answer is none of these */
  async #expect(call: Call, ...statuses: number[]): Promise<Answer> {
    const answer = await this.call(call);
    if (statuses.includes(answer.status)) return answer;
    throw new Refused(`${call.method} ${call.path}`, answer);
  }

  makeBucket(bucket: string): Promise<Answer> {
    return this.#expect({ method: "PUT", path: `/${bucket}` }, 200);
  }

  put(bucket: string, key: string, body: Buffer, headers: Record<string, string> = {}): Promise<Answer> {
    return this.#expect({ method: "PUT", path: `/${bucket}/${key}`, body, headers }, 200);
  }

  /** Undefined: there is none. */
  async get(bucket: string, key: string, headers: Record<string, string> = {}): Promise<Buffer | undefined> {
    const answer = await this.#expect({ method: "GET", path: `/${bucket}/${key}`, headers }, 200, 206, 404);
    return answer.status === 404 ? undefined : answer.body;
  }

  remove(bucket: string, key: string): Promise<Answer> {
    return this.#expect({ method: "DELETE", path: `/${bucket}/${key}` }, 204);
  }

  copy(bucket: string, from: string, to: string): Promise<Answer> {
    const headers = { "x-amz-copy-source": `/${bucket}/${encodePath(from)}` };
    return this.#expect({ method: "PUT", path: `/${bucket}/${to}`, headers }, 200);
  }

  async createUpload(bucket: string, key: string): Promise<string> {
    const answer = await this.#expect({ method: "POST", path: `/${bucket}/${key}`, query: { uploads: "" } }, 200);
    return tag(answer.body, "UploadId");
  }

  /** Answers the part's ETag. */
  async uploadPart(bucket: string, key: string, uploadId: string, partNumber: number, body: Buffer): Promise<string> {
    const query = { partNumber: String(partNumber), uploadId };
    const answer = await this.#expect({ method: "PUT", path: `/${bucket}/${key}`, query, body }, 200);
    return String(answer.headers.etag);
  }

  async complete(bucket: string, key: string, uploadId: string, etags: readonly string[]): Promise<Answer> {
    const parts = etags.map((etag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${etag}</ETag></Part>`).join("");
    const body = Buffer.from(`<CompleteMultipartUpload>${parts}</CompleteMultipartUpload>`);
    const call = { method: "POST", path: `/${bucket}/${key}`, query: { uploadId }, body };
    const answer = await this.#expect(call, 200);
    if (answer.body.includes("<Error>")) throw new Refused("complete", answer);
    return answer;
  }

  abort(bucket: string, key: string, uploadId: string): Promise<Answer> {
    return this.#expect({ method: "DELETE", path: `/${bucket}/${key}`, query: { uploadId } }, 204);
  }

  /** All keys with their sizes. */
  async list(bucket: string): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    for (let after = ""; ; ) {
      const query: Record<string, string> = { "list-type": "2", "start-after": after };
      const answer = await this.#expect({ method: "GET", path: `/${bucket}`, query }, 200);
      const text = answer.body.toString();
      for (const [, content = ""] of text.matchAll(/<Contents>(.*?)<\/Contents>/gs)) {
        after = tag(Buffer.from(content), "Key");
        found.set(after, Number(tag(Buffer.from(content), "Size")));
      }
      if (!text.includes("<IsTruncated>true</IsTruncated>")) return found;
    }
  }
}

/** An answer that was not the expected one. */
export class Refused extends Error {
  readonly status: number;
  readonly code: string;

  constructor(what: string, { status, body }: Answer) {
    const text = body.toString();
    super(`${what}: ${status} ${text.slice(0, 500)}`);
    this.status = status;
    this.code = /<Code>(.*?)<\/Code>/.exec(text)?.[1] ?? "";
  }
}

function tag(xml: Buffer, name: string): string {
  const found = new RegExp(`<${name}>(.*?)</${name}>`, "s").exec(xml.toString());
  if (found?.[1] === undefined) throw new Error(`no ${name} in ${xml.toString().slice(0, 300)}`);
  return found[1];
}
