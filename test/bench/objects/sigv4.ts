import { createHash, createHmac } from "node:crypto";

/** AWS Signature Version 4 for S3, from its documentation: "Authenticating Requests: Using the Authorization Header". */

export interface Credentials {
  accessKey: string;
  secretKey: string;
  region: string;
}

export interface Signable {
  method: string;
  /** Decoded: `/bucket/key`. */
  path: string;
  query?: Readonly<Record<string, string>>;
  /** Lower-case names. `host`, `x-amz-date` and `x-amz-content-sha256` must be there: S3 wants them signed. */
  headers: Readonly<Record<string, string>>;
}

export const sha256Hex = (data: string | Uint8Array): string => createHash("sha256").update(data).digest("hex");
const hmac = (key: string | Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest();

export const EMPTY_SHA256 = sha256Hex("");

/** RFC 3986's unreserved characters stay as they are; encodeURIComponent leaves five more. */
export function uriEncode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

/** S3 encodes a path once, and never the slashes in a key. */
export const encodePath = (path: string): string => path.split("/").map(uriEncode).join("/");

/** Sorted and encoded, for the request target and for the signature alike. */
export function encodeQuery(query: Readonly<Record<string, string>>): string {
  return Object.entries(query)
    .map(([name, value]) => [uriEncode(name), uriEncode(value)] as const)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
}

/** `20130524T000000Z`, as x-amz-date wants it. */
export const amzDate = (date: Date): string => `${date.toISOString().slice(0, 19).replace(/[-:]/g, "")}Z`;

/** Answers the Authorization header of a request. The key of the day is derived once: it is the same for all. */
export function signer(credentials: Credentials, dateTime: string): (request: Signable) => string {
  const day = dateTime.slice(0, 8);
  const scope = `${day}/${credentials.region}/s3/aws4_request`;
  const dayKey = hmac(`AWS4${credentials.secretKey}`, day);
  const key = hmac(hmac(hmac(dayKey, credentials.region), "s3"), "aws4_request");
  return ({ method, path, query = {}, headers }) => {
    const names = Object.keys(headers).sort();
    const signed = names.join(";");
    const canonical = [
      method,
      encodePath(path),
      encodeQuery(query),
      ...names.map((name) => `${name}:${headers[name]}`),
      "",
      signed,
      headers["x-amz-content-sha256"],
    ].join("\n");
    const text = `AWS4-HMAC-SHA256\n${dateTime}\n${scope}\n${sha256Hex(canonical)}`;
    const signature = createHmac("sha256", key).update(text).digest("hex");
    return `AWS4-HMAC-SHA256 Credential=${credentials.accessKey}/${scope},SignedHeaders=${signed},Signature=${signature}`;
  };
}

export interface Target {
  /** With the port: the Host header. */
  host: string;
  credentials: Credentials;
}

/** Writes the heads of requests, signed, as they go over the wire. Good for 15 minutes: S3 refuses older dates. */
export function requestHeads({ host, credentials }: Target, date = new Date()) {
  const dateTime = amzDate(date);
  const sign = signer(credentials, dateTime);
  return (
    method: string,
    path: string,
    query: Readonly<Record<string, string>> = {},
    body?: { bytes: number; sha256: string },
  ): Buffer => {
    const headers = { host, "x-amz-content-sha256": body?.sha256 ?? EMPTY_SHA256, "x-amz-date": dateTime };
    const authorization = sign({ method, path, query, headers });
    const search = encodeQuery(query);
    const lines = [
      `${method} ${encodePath(path)}${search && `?${search}`} HTTP/1.1`,
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      `authorization: ${authorization}`,
      ...(method === "PUT" ? [`content-length: ${body?.bytes ?? 0}`] : []),
    ];
    return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  };
}
