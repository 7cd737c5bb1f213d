import { createHash, createHmac } from "node:crypto";
import { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import type { Authority } from "../../objectstore/auth/verify.js";
import { parseTarget } from "../../objectstore/http/target.js";
import type { S3Request } from "../../objectstore/types.js";
import type { IdentityStore, User } from "../../src/engines/identity-store.js";

/** The credentials and the moment of AWS's published examples. */
export const AWS_KEY = "AKIAIOSFODNN7EXAMPLE";
export const AWS_SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
export const AWS_NOW_MS = Date.UTC(2013, 4, 24);

export type Headers = readonly (readonly [name: string, value: string])[];

/** A request as a server's pipeline sees it. */
export function requestOf(
  method: string,
  target: string,
  headers: Headers,
  domains: readonly string[] = [],
): S3Request {
  const message = new IncomingMessage(new Socket());
  message.rawHeaders = headers.flat();
  const joined = new Map<string, string>();
  for (const [name, value] of headers) {
    const before = joined.get(name.toLowerCase());
    joined.set(name.toLowerCase(), before === undefined ? value : `${before}, ${value}`);
  }
  return {
    ...{ id: "test", method, headers: joined, clientAddress: "127.0.0.1", secure: false, message },
    ...parseTarget(target, joined.get("host") ?? "", domains),
  };
}

export function userOf(name: string, accessKey: string, secret: string, change: Partial<User> = {}): User {
  return {
    ...{
      name,
      id: `id-of-${name}`,
      displayName: name,
      email: "",
      disabled: false,
      createdMs: 0,
      policies: [],
      revision: 1,
    },
    keys: [{ id: accessKey, secret, createdMs: 0, disabled: false }],
    ...change,
  };
}

/** Who may sign: the root of AWS's examples, and users. */
export function authorityOf(users: readonly User[] = [], change: Partial<Authority> = {}): Authority {
  const byAccessKey: IdentityStore["byAccessKey"] = (accessKey) => {
    for (const user of users) {
      const key = user.keys.find((candidate) => candidate.id === accessKey);
      if (key) return { user, key };
    }
    return undefined;
  };
  return {
    identities: { byAccessKey },
    root: { accessKey: AWS_KEY, secret: AWS_SECRET, userId: "root-id" },
    region: "us-east-1",
    nowMs: AWS_NOW_MS,
    ...change,
  };
}

const hmac = (key: string | Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest();
export const sha256 = (text: string | Buffer): string => createHash("sha256").update(text).digest("hex");

/** SigV4 written a second time, by its description, to hold the server's against. */
export function signatureOf(
  canonicalRequest: string,
  { secret = AWS_SECRET, timestamp = "20130524T000000Z", region = "us-east-1" } = {},
): string {
  const date = timestamp.slice(0, 8);
  const text = `AWS4-HMAC-SHA256\n${timestamp}\n${date}/${region}/s3/aws4_request\n${sha256(canonicalRequest)}`;
  return hmac(chunkKey(secret, date, region), text).toString("hex");
}

export function chunkKey(secret = AWS_SECRET, date = "20130524", region = "us-east-1"): Buffer {
  return hmac(hmac(hmac(hmac(`AWS4${secret}`, date), region), "s3"), "aws4_request");
}

export interface Signing {
  method?: string;
  target?: string;
  headers?: Headers;
  payload?: string;
  accessKey?: string;
  secret?: string;
  timestamp?: string;
  region?: string;
  /** Instead of what the signer would make. */
  signed?: string;
}

/** A request with a signed Authorization header, of a path that needs no encoding and no query. */
export function signedRequest(signing: Signing = {}): S3Request {
  const {
    method = "GET",
    target = "/bucket/key",
    payload = "UNSIGNED-PAYLOAD",
    timestamp = "20130524T000000Z",
  } = signing;
  const headers: Headers = [
    ["host", "localhost:9000"],
    ["x-amz-content-sha256", payload],
    ["x-amz-date", timestamp],
    ...(signing.headers ?? []),
  ];
  const sorted = [...headers].sort(([a], [b]) => (a < b ? -1 : 1));
  const names = signing.signed ?? sorted.map(([name]) => name).join(";");
  const lines = sorted.filter(([name]) => names.split(";").includes(name)).map(([name, value]) => `${name}:${value}\n`);
  const [path, query = ""] = target.split("?");
  const canonical = `${method}\n${path}\n${query}\n${lines.join("")}\n${names}\n${payload}`;
  const { secret = AWS_SECRET, region = "us-east-1", accessKey = AWS_KEY } = signing;
  const signature = signatureOf(canonical, { secret, timestamp, region });
  const credential = `${accessKey}/${timestamp.slice(0, 8)}/${region}/s3/aws4_request`;
  const authorization = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names}, Signature=${signature}`;
  return requestOf(method, target, [...headers, ["authorization", authorization]]);
}
