import { amzDate, encodePath, encodeQuery, sha256Hex, signer } from "../bench/objects/sigv4.js";
import { plainRequest, type S3Server } from "./harness.js";
import type { KeyPair } from "./sdk-clients.js";

export interface SignedRequest {
  method: string;
  /** Decoded: `/bucket/key`. */
  path: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: string;
}

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
  /** Of an S3 error; "" where it is none. */
  code: string;
}

/** A signed request with these headers and no more, where an SDK would add its own: for what only odd clients send. */
export async function signedRequest(server: S3Server, request: SignedRequest, as: KeyPair = server): Promise<Answer> {
  const { method, path, query = {}, body = "" } = request;
  const date = amzDate(new Date());
  const headers: Record<string, string> = {
    host: `127.0.0.1:${server.port}`,
    "x-amz-content-sha256": sha256Hex(body),
    "x-amz-date": date,
    ...request.headers,
  };
  const sign = signer({ ...as, region: server.region }, date);
  const authorization = sign({ method, path, query, headers });
  const encoded = encodeQuery(query);
  const target = encodePath(path) + (encoded === "" ? "" : `?${encoded}`);
  const answer = await plainRequest(server, target, { method, headers: { ...headers, authorization }, body });
  const text = answer.body.toString("utf8");
  return { status: answer.status, headers: answer.headers, text, code: /<Code>(\w+)<\/Code>/.exec(text)?.[1] ?? "" };
}
