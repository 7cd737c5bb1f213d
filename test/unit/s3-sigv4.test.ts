import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { authenticate } from "../../objectstore/auth/authenticate.js";
import type { S3Request } from "../../objectstore/types.js";
import { S3Error } from "../../src/errors/s3-error.js";
import {
  AWS_KEY,
  AWS_NOW_MS,
  authorityOf,
  type Headers,
  requestOf,
  type Signing,
  sha256,
  signatureOf,
  signedRequest,
  userOf,
} from "./s3-requests.js";

const EMPTY = sha256("");
const HOST = "examplebucket.s3.amazonaws.com";
const DOMAINS = ["s3.amazonaws.com"];

function failure(request: S3Request, authority = authorityOf()): S3Error {
  try {
    authenticate(request, authority);
  } catch (error) {
    if (error instanceof S3Error) return error;
    throw error;
  }
  throw new Error("the request was taken");
}

function published(method: string, target: string, headers: Headers, names: string, signature: string): S3Request {
  const credential = `${AWS_KEY}/20130524/us-east-1/s3/aws4_request`;
  const authorization = `AWS4-HMAC-SHA256 Credential=${credential},SignedHeaders=${names},Signature=${signature}`;
  return requestOf(method, target, [["Host", HOST], ...headers, ["Authorization", authorization]], DOMAINS);
}

describe("SigV4 by header: the examples of the S3 API reference", () => {
  it.each([
    [
      "GET object",
      published(
        "GET",
        "/test.txt",
        [
          ["Range", "bytes=0-9"],
          ["x-amz-content-sha256", EMPTY],
          ["x-amz-date", "20130524T000000Z"],
        ],
        "host;range;x-amz-content-sha256;x-amz-date",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
      ),
    ],
    [
      "PUT object",
      published(
        "PUT",
        "/test%24file.text",
        [
          ["Date", "Fri, 24 May 2013 00:00:00 GMT"],
          ["x-amz-date", "20130524T000000Z"],
          ["x-amz-storage-class", "REDUCED_REDUNDANCY"],
          ["x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"],
        ],
        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
      ),
    ],
    [
      "GET bucket lifecycle",
      published(
        "GET",
        "/?lifecycle",
        [
          ["x-amz-date", "20130524T000000Z"],
          ["x-amz-content-sha256", EMPTY],
        ],
        "host;x-amz-content-sha256;x-amz-date",
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
      ),
    ],
    [
      "GET bucket (list objects)",
      published(
        "GET",
        "/?max-keys=2&prefix=J",
        [
          ["x-amz-date", "20130524T000000Z"],
          ["x-amz-content-sha256", EMPTY],
        ],
        "host;x-amz-content-sha256;x-amz-date",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
      ),
    ],
  ])("%s: taken", (_name, request) => {
    const { caller, type, signatureVersion } = authenticate(request, authorityOf());
    expect(caller).toEqual({ kind: "root", id: "root-id", name: "root", accessKey: AWS_KEY });
    expect([type, signatureVersion]).toEqual(["REST-HEADER", "AWS4-HMAC-SHA256"]);
  });
});

describe("SigV4 by header", () => {
  it("a user's key: that user", () => {
    const user = userOf("ann", "ANN1", "ann's secret");
    const request = signedRequest({ accessKey: "ANN1", secret: "ann's secret" });
    expect(authenticate(request, authorityOf([user])).caller).toEqual({
      ...{ kind: "user", id: "id-of-ann", name: "ann", accessKey: "ANN1", user },
    });
  });

  it("signed seconds ago: the age is told", () => {
    const authority = authorityOf([], { nowMs: AWS_NOW_MS + 7000 });
    expect(authenticate(signedRequest(), authority).signatureAgeMs).toBe(7000);
    expect(authenticate(signedRequest(), authorityOf([], { nowMs: AWS_NOW_MS - 7000 })).signatureAgeMs).toBe(0);
  });

  it("an unknown key, a wrong secret, a disabled key, a disabled user: refused, after the same work", () => {
    const ann = userOf("ann", "ANN1", "ann's secret");
    const key = { id: "OFF1", secret: "s", createdMs: 0, disabled: true };
    const off = userOf("off", "OFF1", "s", { keys: [key] });
    const gone = userOf("gone", "GONE", "s", { disabled: true });
    const authority = authorityOf([ann, off, gone]);
    expect(failure(signedRequest({ accessKey: "NOBODY" }), authority).code).toBe("InvalidAccessKeyId");
    expect(failure(signedRequest({ accessKey: "OFF1", secret: "s" }), authority).code).toBe("InvalidAccessKeyId");
    expect(failure(signedRequest({ accessKey: "GONE", secret: "s" }), authority).code).toBe("InvalidAccessKeyId");
    const wrong = failure(signedRequest({ accessKey: "ANN1", secret: "wrong" }), authority);
    expect(wrong.code).toBe("SignatureDoesNotMatch");
    expect(wrong.fields).toMatchObject({ AWSAccessKeyId: "ANN1" });
    expect(JSON.stringify(wrong.fields)).not.toContain("ann's secret");
  });

  it("user enumeration: an unknown key is signed for and compared before it is refused", () => {
    let asked = 0;
    const authority = { ...authorityOf(), identities: { byAccessKey: () => void asked++ } };
    const unsigned = signedRequest({ accessKey: "NOBODY", headers: [["x-amz-acl", "private"]], signed: "host" });
    // What needs no secret is refused before anyone is looked for, for known and unknown alike.
    expect(failure(unsigned, authority).code).toBe("AccessDenied");
    expect(asked).toBe(0);
    expect(failure(signedRequest({ accessKey: "NOBODY" }), authority).code).toBe("InvalidAccessKeyId");
  });

  it.each<[string, Signing]>([
    ["an added header", { headers: [["x-amz-acl", "public-read"]], signed: "host;x-amz-content-sha256;x-amz-date" }],
    ["a host that is not signed", { signed: "x-amz-content-sha256;x-amz-date" }],
    ["its own date unsigned", { signed: "host;x-amz-content-sha256" }],
    [
      "a name that only begins alike",
      {
        headers: [
          ["x-amz-a", "1"],
          ["x-amz-ab", "2"],
        ],
        signed: "host;x-amz-ab;x-amz-content-sha256;x-amz-date",
      },
    ],
    [
      "a name listed twice to make up the count",
      { headers: [["x-amz-acl", "private"]], signed: "host;x-amz-content-sha256;x-amz-date;x-amz-date" },
    ],
  ])("unsigned x-amz header trusted: %s: AccessDenied", (_name, signing) => {
    const error = failure(signedRequest(signing));
    expect([error.code, error.message]).toEqual([
      "AccessDenied",
      "There were headers present in the request which were not signed",
    ]);
  });

  it("15 minutes off: taken; a second more: RequestTimeTooSkewed", () => {
    const off = 15 * 60_000;
    for (const nowMs of [AWS_NOW_MS + off, AWS_NOW_MS - off]) authenticate(signedRequest(), authorityOf([], { nowMs }));
    for (const nowMs of [AWS_NOW_MS + off + 1, AWS_NOW_MS - off - 1]) {
      const error = failure(signedRequest(), authorityOf([], { nowMs }));
      expect(error.code).toBe("RequestTimeTooSkewed");
      expect(error.fields).toMatchObject({ RequestTime: "2013-05-24T00:00:00Z", MaxAllowedSkewMilliseconds: "900000" });
    }
  });

  it("another region: AuthorizationHeaderMalformed, and the right one told", () => {
    const error = failure(signedRequest({ region: "eu-west-1" }));
    expect(error.code).toBe("AuthorizationHeaderMalformed");
    expect(error.message).toContain("the region 'eu-west-1' is wrong; expecting 'us-east-1'");
    expect(error.fields).toEqual({ Region: "us-east-1" });
  });

  it.each([
    ["a/20130524/us-east-1/s3", "the Credential is mal-formed"],
    ["/20130524/us-east-1/s3/aws4_request", "the Credential is mal-formed"],
    ["a/2013-05-24/us-east-1/s3/aws4_request", "incorrect date format"],
    ["a/20130524/us-east-1/ec2/aws4_request", 'incorrect service "ec2"'],
    ["a/20130524/us-east-1/s3/aws3_request", "incorrect terminal"],
    ["a/20130523/us-east-1/s3/aws4_request", "Invalid credential date"],
  ])("credential %s: AuthorizationHeaderMalformed", (credential, message) => {
    const authorization = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=host, Signature=aa`;
    const headers: Headers = [
      ["host", "h"],
      ["x-amz-date", "20130524T000000Z"],
      ["authorization", authorization],
    ];
    const error = failure(requestOf("GET", "/", headers));
    expect(error.code).toBe("AuthorizationHeaderMalformed");
    expect(error.message).toContain(message);
  });

  it.each([
    ["AWS4-HMAC-SHA256", "AuthorizationHeaderMalformed"],
    ["AWS4-HMAC-SHA256 Credential=a, SignedHeaders=host", "AuthorizationHeaderMalformed"],
    ["AWS4-HMAC-SHA256 ,,=,Signature", "AuthorizationHeaderMalformed"],
    ["AWS4-HMAC-SHA256Credential=a", "InvalidArgument"],
    ["AWS AKID:c2lnbmF0dXJl", "InvalidRequest"],
    ["AWS HAHAHA", "InvalidArgument"],
    ["AWS4-ECDSA-P256-SHA256 Credential=a, SignedHeaders=host, Signature=00", "NotImplemented"],
    ["Basic dXNlcjpwYXNz", "InvalidArgument"],
    ["Bearer x", "InvalidArgument"],
    [" ", "InvalidArgument"],
  ])("Authorization `%s`: %s, never anonymous", (authorization, code) => {
    expect(
      failure(
        requestOf("GET", "/", [
          ["host", "h"],
          ["authorization", authorization],
        ]),
      ).code,
    ).toBe(code);
  });

  it("no date, or one that is none: AccessDenied", () => {
    for (const date of [undefined, "", "yesterday", "20130231T000000Z", "2013-05-24T00:00:00Z"]) {
      const authorization = `AWS4-HMAC-SHA256 Credential=a/20130524/us-east-1/s3/aws4_request,SignedHeaders=host,Signature=a`;
      const dated: Headers = date === undefined ? [] : [["x-amz-date", date]];
      const error = failure(requestOf("GET", "/", [["host", "h"], ["authorization", authorization], ...dated]));
      expect([error.code, error.message]).toEqual([
        "AccessDenied",
        "AWS authentication requires a valid Date or x-amz-date header",
      ]);
    }
  });

  it("a Date header in place of x-amz-date: taken", () => {
    const headers = "date:Fri, 24 May 2013 00:00:00 GMT\nhost:h\nx-amz-content-sha256:UNSIGNED-PAYLOAD\n";
    const names = "date;host;x-amz-content-sha256";
    const signature = signatureOf(`GET\n/\n\n${headers}\n${names}\nUNSIGNED-PAYLOAD`);
    const credential = `${AWS_KEY}/20130524/us-east-1/s3/aws4_request`;
    const request = requestOf("GET", "/", [
      ["Host", "h"],
      ["Date", "Fri, 24 May 2013 00:00:00 GMT"],
      ["x-amz-content-sha256", "UNSIGNED-PAYLOAD"],
      ["Authorization", `AWS4-HMAC-SHA256 Credential=${credential},SignedHeaders=${names},Signature=${signature}`],
    ]);
    expect(authenticate(request, authorityOf()).caller.kind).toBe("root");
  });

  it("spaces in values, repeated headers: collapsed, joined with a comma", () => {
    const names = "host;x-amz-content-sha256;x-amz-date;x-amz-meta-a";
    const lines = `host:h\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:20130524T000000Z\nx-amz-meta-a:b c,d, e\n`;
    const signature = signatureOf(`GET\n/\n\n${lines}\n${names}\nUNSIGNED-PAYLOAD`);
    const credential = `${AWS_KEY}/20130524/us-east-1/s3/aws4_request`;
    const request = requestOf("GET", "/", [
      ["Host", "h"],
      ["x-amz-date", "20130524T000000Z"],
      ["X-Amz-Meta-A", " b  \t c "],
      ["x-amz-meta-a", "d, e"],
      ["x-amz-content-sha256", "UNSIGNED-PAYLOAD"],
      ["Authorization", `AWS4-HMAC-SHA256 Credential=${credential},SignedHeaders=${names},Signature=${signature}`],
    ]);
    expect(authenticate(request, authorityOf()).caller.kind).toBe("root");
  });

  it("a security token: InvalidToken, since no temporary credentials are given out", () => {
    expect(failure(signedRequest({ headers: [["x-amz-security-token", "t"]] })).code).toBe("InvalidToken");
  });

  it("a customer's encryption key under a wrong signature: not shown in the answer", () => {
    const name = "x-amz-server-side-encryption-customer-key";
    const error = failure(signedRequest({ headers: [[name, "c2VjcmV0"]], secret: "wrong" }));
    expect(error.fields.CanonicalRequest).toContain(`${name}:(not shown)`);
    expect(JSON.stringify(error.fields)).not.toContain("c2VjcmV0");
  });
});

describe("x-amz-content-sha256", () => {
  it("missing on a signed request: InvalidRequest", () => {
    const authorization = `AWS4-HMAC-SHA256 Credential=a/20130524/us-east-1/s3/aws4_request,SignedHeaders=host,Signature=a`;
    const headers: Headers = [
      ["host", "h"],
      ["x-amz-date", "20130524T000000Z"],
      ["authorization", authorization],
    ];
    expect(failure(requestOf("GET", "/", headers)).code).toBe("InvalidRequest");
  });

  it.each(["", "abc", `${EMPTY}0`, "unsigned-payload", "STREAMING-X"])("malformed (%s): InvalidArgument", (value) => {
    expect(failure(signedRequest({ payload: value })).code).toBe("InvalidArgument");
    expect(
      failure(
        requestOf("PUT", "/b/k", [
          ["host", "h"],
          ["x-amz-content-sha256", value],
        ]),
      ).code,
    ).toBe("InvalidArgument");
  });

  it.each([
    ["UNSIGNED-PAYLOAD", { kind: "unsigned" }],
    [EMPTY, { kind: "hash", sha256: EMPTY }],
    [EMPTY.toUpperCase(), { kind: "hash", sha256: EMPTY }],
    ["STREAMING-UNSIGNED-PAYLOAD-TRAILER", { kind: "chunked-unsigned-trailer" }],
  ])("%s: that payload, signed and anonymous", (value, payload) => {
    expect(authenticate(signedRequest({ payload: value }), authorityOf()).payload).toEqual(payload);
    const anonymous = requestOf("PUT", "/b/k", [
      ["host", "h"],
      ["x-amz-content-sha256", value],
    ]);
    expect(authenticate(anonymous, authorityOf())).toMatchObject({ caller: { kind: "anonymous" }, payload });
  });

  it.each(["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"])(
    "%s: chained to the request's signature; anonymous: refused",
    (value) => {
      const request = signedRequest({ payload: value });
      const signature = request.headers.get("authorization")?.slice(-64);
      expect(authenticate(request, authorityOf()).payload).toMatchObject({
        ...{ kind: "chunked-signed", trailer: value.endsWith("TRAILER"), seedSignature: signature },
        ...{ timestamp: "20130524T000000Z", scope: "20130524/us-east-1/s3/aws4_request" },
      });
      const anonymous = requestOf("PUT", "/b/k", [
        ["host", "h"],
        ["x-amz-content-sha256", value],
      ]);
      expect(failure(anonymous).code).toBe("InvalidRequest");
    },
  );

  it("chunks signed with ECDSA: NotImplemented", () => {
    const payload = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD";
    expect(failure(signedRequest({ payload })).code).toBe("NotImplemented");
  });
});

describe("anonymous requests", () => {
  it("no credentials: anonymous, nothing signed", () => {
    const anonymous = authenticate(requestOf("GET", "/b/k", [["host", "h"]]), authorityOf());
    expect(anonymous).toEqual({
      ...{ caller: { kind: "anonymous" }, type: "anonymous", payload: { kind: "unsigned" } },
      ...{ signatureAgeMs: 0, signatureVersion: "" },
    });
  });
});

describe("garbage in place of credentials", () => {
  const word = fc.constantFrom(
    ...[
      "AWS4-HMAC-SHA256 ",
      "AWS ",
      "Credential=",
      "SignedHeaders=",
      "Signature=",
      ",",
      ";",
      "=",
      "/",
      "host",
      "aws4_request",
    ],
    ...[`${AWS_KEY}/20130524/us-east-1/s3/aws4_request`, "s3", "us-east-1", "20130524", EMPTY, ":", " ", "%", "\u00ff"],
  );
  const text = fc.array(fc.oneof(word, fc.string({ maxLength: 5 })), { maxLength: 12 }).map((words) => words.join(""));

  /** Never anything but a refusal in S3's words, and never a caller. */
  function refusedOrAnonymous(request: S3Request): void {
    try {
      expect(authenticate(request, authorityOf()).caller.kind).toBe("anonymous");
    } catch (error) {
      if (!(error instanceof S3Error)) throw error;
    }
  }

  it("any Authorization header, date and payload: refused by S3Error", () => {
    fc.assert(
      fc.property(text, fc.oneof(text, fc.constant("20130524T000000Z")), text, (authorization, date, payload) => {
        const headers: Headers = [
          ["host", "h"],
          ["authorization", authorization],
          ["x-amz-date", date],
          ["x-amz-content-sha256", payload],
        ];
        refusedOrAnonymous(requestOf("GET", "/b/k", headers));
      }),
      { numRuns: 2000 },
    );
  });

  it("any query of a presigned URL: refused by S3Error", () => {
    const names = ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature", "Content-Sha256"];
    const right = [
      "AWS4-HMAC-SHA256",
      `${AWS_KEY}/20130524/us-east-1/s3/aws4_request`,
      "20130524T000000Z",
      "60",
      "host",
      EMPTY,
      EMPTY,
    ];
    const values = fc.tuple(...right.map((value) => fc.oneof(fc.constant(value), text, fc.constant(undefined))));
    fc.assert(
      fc.property(values, (parts) => {
        const pairs = parts.flatMap((value, i) =>
          value === undefined ? [] : [`X-Amz-${names[i]}=${encodeURIComponent(value)}`],
        );
        refusedOrAnonymous(requestOf("GET", `/b/k?${pairs.join("&")}`, [["host", "h"]]));
      }),
      { numRuns: 2000 },
    );
  });
});
