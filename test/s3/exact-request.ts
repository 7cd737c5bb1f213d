import { createHash, createHmac } from "node:crypto";
import { Agent, type IncomingHttpHeaders, request } from "node:http";
import { parseXml, type XmlElement } from "../../objectstore/xml/read.js";
import type { S3Server } from "./harness.js";
import type { KeyPair } from "./sdk-clients.js";

/** A request with nothing between the test and the wire: the target and the headers go out as they are given. */
export interface RawRequest {
  method?: string;
  /** `/bucket/key?query`, encoded as it is to be sent. */
  target: string;
  headers?: Record<string, string | string[]>;
  body?: Buffer | string;
  /** Of the user that signs; null: nobody does. Root where it is left out. */
  as?: KeyPair | null;
}

export interface RawAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  bytes: Buffer;
  text: string;
  /** The document in the body. */
  xml(): XmlElement;
  /** The `<Code>` of an error; "" where the body is none. */
  code: string;
}

const agent = new Agent({ keepAlive: true });
const sha256 = (data: Buffer | string) => createHash("sha256").update(data).digest("hex");
const hmac = (key: Buffer | string, text: string) => createHmac("sha256", key).update(text).digest();

/** SigV4's UriEncode. */
export function uriEncode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** `/bucket/key` for a request's target. */
export function pathOf(bucket: string, key: string): string {
  return `/${bucket}/${key.split("/").map(uriEncode).join("/")}`;
}

function canonicalQuery(query: string): string {
  return (
    query
      .split("&")
      .filter((pair) => pair !== "")
      .map((pair) => {
        const equals = pair.indexOf("=");
        const name = equals < 0 ? pair : pair.slice(0, equals);
        const value = equals < 0 ? "" : pair.slice(equals + 1);
        const again = (part: string) => uriEncode(decodeURIComponent(part.replaceAll("+", " ")));
        return [again(name), again(value)] as const;
      })
      // By name, then by value: as text, "a-b=" would come before "a=".
      .sort(([a, x], [b, y]) => (a < b || (a === b && x < y) ? -1 : 1))
      .map(([name, value]) => `${name}=${value}`)
      .join("&")
  );
}

/** Authorization and the headers that it covers, for the headers of a request. */
export function signedHeaders(
  server: Pick<S3Server, "region">,
  { method, target, headers, as }: Required<Pick<RawRequest, "method" | "target" | "headers">> & { as: KeyPair },
  payload: string,
): Record<string, string | string[]> {
  const timestamp = new Date().toISOString().replace(/[-:]|\.\d+/g, "");
  const scope = `${timestamp.slice(0, 8)}/${server.region}/s3/aws4_request`;
  const all: Record<string, string | string[]> = {
    "x-amz-content-sha256": payload,
    "x-amz-date": timestamp,
    ...headers,
  };
  const sent = Object.entries(all)
    .map(([name, value]) => [name.toLowerCase(), [value].flat().join(",").trim().replace(/ +/g, " ")] as const)
    .filter(([name]) => name === "host" || name.startsWith("x-amz-") || name === "content-md5")
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const names = sent.map(([name]) => name).join(";");
  const [path = "", query = ""] = target.split(/\?(.*)/s);
  const canonical = [
    method,
    path,
    canonicalQuery(query),
    ...sent.map(([name, value]) => `${name}:${value}`),
    "",
    names,
    payload,
  ].join("\n");
  const day = hmac(`AWS4${as.secretKey}`, timestamp.slice(0, 8));
  const key = hmac(hmac(hmac(day, server.region), "s3"), "aws4_request");
  const signature = hmac(
    key,
    `AWS4-HMAC-SHA256\n${timestamp}\n${scope}\n${sha256(Buffer.from(canonical, "latin1"))}`,
  ).toString("hex");
  return {
    ...all,
    authorization: `AWS4-HMAC-SHA256 Credential=${as.accessKey}/${scope}, SignedHeaders=${names}, Signature=${signature}`,
  };
}

/** Sends one request over HTTP. Header values are latin1, as on the wire. */
export function rawRequest(server: S3Server, raw: RawRequest): Promise<RawAnswer> {
  const { method = "GET", target, body, as = server } = raw;
  const headers: Record<string, string | string[]> = { host: `127.0.0.1:${server.port}`, ...raw.headers };
  if (body !== undefined || method === "PUT" || method === "POST") {
    headers["content-length"] ??= String(Buffer.byteLength(body ?? ""));
  }
  const signed = as === null ? headers : signedHeaders(server, { method, target, headers, as }, sha256(body ?? ""));
  return new Promise((resolve, reject) => {
    const sent = request(
      { host: "127.0.0.1", port: server.port, method, path: target, headers: signed, agent },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.on("error", reject);
        answer.on("end", () => resolve(answerOf(answer.statusCode ?? 0, answer.headers, Buffer.concat(chunks))));
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
}

function answerOf(status: number, headers: IncomingHttpHeaders, bytes: Buffer): RawAnswer {
  const text = bytes.toString("utf8");
  return {
    ...{ status, headers, bytes, text },
    code: /<Error>\s*<Code>([^<]*)/.exec(text)?.[1] ?? "",
    xml: () => parseXml(text),
  };
}
