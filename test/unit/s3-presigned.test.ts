import { describe, expect, it } from "vitest";
import { authenticate } from "../../objectstore/auth/authenticate.js";
import type { S3Request } from "../../objectstore/types.js";
import { S3Error } from "../../src/errors/s3-error.js";
import {
  AWS_KEY,
  AWS_NOW_MS,
  AWS_SECRET,
  authorityOf,
  type Headers,
  requestOf,
  signatureOf,
  userOf,
} from "./s3-requests.js";

const CREDENTIAL = `${AWS_KEY}/20130524/us-east-1/s3/aws4_request`;

function codeOf(request: S3Request, authority = authorityOf()): [string, string] {
  try {
    authenticate(request, authority);
  } catch (error) {
    if (error instanceof S3Error) return [error.code, error.message];
    throw error;
  }
  return ["taken", ""];
}

const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);

interface Presigning {
  /** Replaces or removes (undefined) parameters before signing. */
  query?: Record<string, string | undefined>;
  headers?: Headers;
  signedHeaders?: string;
  secret?: string;
  payload?: string;
  /** Added to the query after signing. */
  after?: string;
}

function presigned(presigning: Presigning = {}): S3Request {
  const query: Record<string, string | undefined> = {
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": CREDENTIAL,
    "X-Amz-Date": "20130524T000000Z",
    "X-Amz-Expires": "60",
    "X-Amz-SignedHeaders": presigning.signedHeaders ?? "host",
    ...presigning.query,
  };
  const pairs = Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined);
  const canonicalQuery = pairs
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join("&");
  const headers: Headers = [["host", "localhost"], ...(presigning.headers ?? [])];
  const names = query["X-Amz-SignedHeaders"] ?? "";
  const lines = headers
    .filter(([name]) => names.split(";").includes(name))
    .map(([name, value]) => `${name}:${value}\n`);
  const canonical = `GET\n/b/k\n${canonicalQuery}\n${lines.join("")}\n${names}\n${presigning.payload ?? "UNSIGNED-PAYLOAD"}`;
  const signature = signatureOf(canonical, { secret: presigning.secret ?? AWS_SECRET });
  return requestOf("GET", `/b/k?${canonicalQuery}&X-Amz-Signature=${signature}${presigning.after ?? ""}`, headers);
}

describe("SigV4 by query", () => {
  it("the example of the S3 API reference: taken", () => {
    const query = [
      "X-Amz-Algorithm=AWS4-HMAC-SHA256",
      "X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request",
      "X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host",
      "X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
    ].join("&");
    const request = requestOf("GET", `/test.txt?${query}`, [["Host", "examplebucket.s3.amazonaws.com"]]);
    const authority = authorityOf([], { nowMs: AWS_NOW_MS + 86_399_999 });
    expect(authenticate(request, authority)).toEqual({
      caller: { kind: "root", id: "root-id", name: "root", accessKey: AWS_KEY },
      ...{ type: "REST-QUERY-STRING", payload: { kind: "unsigned" } },
      ...{ signatureAgeMs: 86_399_999, signatureVersion: "AWS4-HMAC-SHA256" },
    });
  });

  it("within its time: taken; a moment after: AccessDenied, and told when", () => {
    const at = (offMs: number) => authorityOf([], { nowMs: AWS_NOW_MS + offMs });
    expect(codeOf(presigned(), at(59_999))[0]).toBe("taken");
    expect(codeOf(presigned(), at(60_000))).toEqual(["AccessDenied", "Request has expired"]);
    expect(codeOf(presigned({ query: { "X-Amz-Expires": "604800" } }), at(604_799_000))[0]).toBe("taken");
    expect(codeOf(presigned({ query: { "X-Amz-Expires": "0" } }))).toEqual(["AccessDenied", "Request has expired"]);
  });

  it("signed ahead of the clock: taken within 15 minutes, else AccessDenied", () => {
    const at = (offMs: number) => authorityOf([], { nowMs: AWS_NOW_MS - offMs });
    expect(codeOf(presigned(), at(900_000))[0]).toBe("taken");
    expect(codeOf(presigned(), at(900_001))).toEqual(["AccessDenied", "Request is not yet valid"]);
  });

  it.each<[Record<string, string | undefined>, string]>([
    [{ "X-Amz-Expires": "604801" }, "must be less than a week"],
    [{ "X-Amz-Expires": "-1" }, "must be non-negative"],
    [{ "X-Amz-Expires": "1e3" }, "should be a number"],
    [{ "X-Amz-Expires": "" }, "requires the X-Amz-Algorithm"],
    [{ "X-Amz-Expires": undefined }, "requires the X-Amz-Algorithm"],
    [{ "X-Amz-SignedHeaders": undefined }, "requires the X-Amz-Algorithm"],
    [{ "X-Amz-Algorithm": undefined }, "requires the X-Amz-Algorithm"],
    [{ "X-Amz-Date": undefined }, "requires the X-Amz-Algorithm"],
    [{ "X-Amz-Algorithm": "AWS4-HMAC-SHA1" }, "X-Amz-Algorithm only supports"],
    [{ "X-Amz-Date": "2013-05-24" }, "ISO8601 Long Format"],
    [{ "X-Amz-Credential": "a/b" }, "the Credential is mal-formed"],
    [{ "X-Amz-Credential": CREDENTIAL.replace("0524", "0523") }, "Invalid credential date"],
    [{ "X-Amz-Credential": CREDENTIAL.replace("s3", "sts") }, 'incorrect service "sts"'],
    [{ "X-Amz-Credential": CREDENTIAL.replace("us-east-1", "eu") }, "the region 'eu' is wrong; expecting 'us-east-1'"],
  ])("%j: AuthorizationQueryParametersError", (query, message) => {
    const [code, text] = codeOf(presigned({ query }));
    expect(code).toBe("AuthorizationQueryParametersError");
    expect(text).toContain(message);
  });

  it("ECDSA: NotImplemented", () => {
    expect(codeOf(presigned({ query: { "X-Amz-Algorithm": "AWS4-ECDSA-P256-SHA256" } }))[0]).toBe("NotImplemented");
  });

  it("signature skipped for one credential kind: a wrong or absent one is refused, for known and unknown keys", () => {
    const ann = userOf("ann", "ANN1", "secret");
    const query = { "X-Amz-Credential": CREDENTIAL.replace(AWS_KEY, "ANN1") };
    const authority = authorityOf([ann]);
    expect(codeOf(presigned({ query, secret: "secret" }), authority)[0]).toBe("taken");
    expect(codeOf(presigned({ query, secret: "other" }), authority)[0]).toBe("SignatureDoesNotMatch");
    expect(codeOf(presigned({ query }))[0]).toBe("InvalidAccessKeyId");
    const request = requestOf("GET", `/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${CREDENTIAL}`, [
      ["host", "h"],
    ]);
    expect(codeOf(request)[0]).toBe("AuthorizationQueryParametersError");
  });

  it("a parameter added after signing: SignatureDoesNotMatch", () => {
    expect(codeOf(presigned({ after: "&versionId=1" }))[0]).toBe("SignatureDoesNotMatch");
    expect(codeOf(presigned({ after: "&X-Amz-Expires=604800" }))[0]).toBe("SignatureDoesNotMatch");
  });

  it("unsigned x-amz header trusted: added to a presigned request: AccessDenied; signed: taken", () => {
    const headers: Headers = [["x-amz-acl", "public-read"]];
    expect(codeOf(presigned({ headers }))[0]).toBe("AccessDenied");
    expect(codeOf(presigned({ headers, signedHeaders: "host;x-amz-acl" }))[0]).toBe("taken");
    expect(codeOf(presigned({ signedHeaders: "range" }))[0]).toBe("AccessDenied");
  });

  it("a payload hash in the query: what is signed, and held against the body", () => {
    const sha256 = "a".repeat(64);
    const request = presigned({ query: { "X-Amz-Content-Sha256": sha256 }, payload: sha256 });
    expect(authenticate(request, authorityOf()).payload).toEqual({ kind: "hash", sha256 });
  });

  it("beside an Authorization header: InvalidArgument", () => {
    const both = presigned({ headers: [["authorization", "AWS4-HMAC-SHA256 Credential=x"]] });
    expect(codeOf(both)[0]).toBe("InvalidArgument");
  });

  it("SigV2's query: InvalidRequest, and what to use", () => {
    const request = requestOf("GET", "/b/k?AWSAccessKeyId=a&Expires=1&Signature=s", [["host", "h"]]);
    const [code, message] = codeOf(request);
    expect([code, message]).toEqual([
      "InvalidRequest",
      "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
    ]);
  });

  it("a security token: InvalidToken", () => {
    expect(codeOf(presigned({ query: { "X-Amz-Security-Token": "t" } }))[0]).toBe("InvalidToken");
  });
});
