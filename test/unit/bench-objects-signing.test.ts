import { describe, expect, it } from "vitest";
import { amzDate, EMPTY_SHA256, encodeQuery, requestHeads, sha256Hex, signer } from "../bench/objects/sigv4.js";

// The examples of "Authenticating Requests: Using the Authorization Header" in the S3 API's reference.
const CREDENTIALS = {
  accessKey: "AKIAIOSFODNN7EXAMPLE",
  secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
  region: "us-east-1",
};
const DATE = "20130524T000000Z";
const host = "examplebucket.s3.amazonaws.com";
const always = { host, "x-amz-content-sha256": EMPTY_SHA256, "x-amz-date": DATE };

describe("signing of a request", () => {
  const sign = signer(CREDENTIALS, DATE);
  const signature = (authorization: string) => /Signature=(.*)$/.exec(authorization)?.[1];

  it("GET of an object with a range: Amazon's example", () => {
    expect(sign({ method: "GET", path: "/test.txt", headers: { ...always, range: "bytes=0-9" } })).toBe(
      "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request," +
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date," +
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    );
  });

  it("PUT with a character to encode and a storage class: Amazon's example", () => {
    const headers = {
      ...always,
      date: "Fri, 24 May 2013 00:00:00 GMT",
      "x-amz-content-sha256": sha256Hex("Welcome to Amazon S3."),
      "x-amz-storage-class": "REDUCED_REDUNDANCY",
    };
    expect(signature(sign({ method: "PUT", path: "/test$file.text", headers }))).toBe(
      "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    );
  });

  it("a subresource without a value: Amazon's example", () => {
    expect(signature(sign({ method: "GET", path: "/", query: { lifecycle: "" }, headers: always }))).toBe(
      "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    );
  });

  it("a listing's query: Amazon's example", () => {
    const query = { prefix: "J", "max-keys": "2" };
    expect(signature(sign({ method: "GET", path: "/", query, headers: always }))).toBe(
      "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    );
  });
});

describe("a request's head", () => {
  const headOf = requestHeads({ host, credentials: CREDENTIALS }, new Date("2013-05-24T00:00:00.123Z"));

  it("has the target as it was signed, the signed headers, and an end", () => {
    const text = headOf("GET", "/bucket/a b/ü'", { prefix: "x/y", "list-type": "2" }).toString("latin1");
    expect(text).toMatch(/^GET \/bucket\/a%20b\/%C3%BC%27\?list-type=2&prefix=x%2Fy HTTP\/1\.1\r\n/);
    expect(text).toContain(`\r\nhost: ${host}\r\n`);
    expect(text).toContain(`\r\nx-amz-date: ${DATE}\r\n`);
    expect(text).toMatch(/\r\nauthorization: AWS4-HMAC-SHA256 Credential=[^\r]+\r\n\r\n$/);
    expect(text).not.toContain("content-length");
  });

  it("of a PUT says how long the body is, and its hash", () => {
    const text = headOf("PUT", "/b/k", {}, { bytes: 3, sha256: sha256Hex("abc") }).toString("latin1");
    expect(text).toContain("\r\ncontent-length: 3\r\n");
    expect(text).toContain(`\r\nx-amz-content-sha256: ${sha256Hex("abc")}\r\n`);
  });

  it("of a PUT without a body says so", () => {
    expect(headOf("PUT", "/b").toString("latin1")).toContain("\r\ncontent-length: 0\r\n");
  });
});

describe("small parts", () => {
  it("a date as S3 writes it", () => {
    expect(amzDate(new Date("2026-01-02T03:04:05.678Z"))).toBe("20260102T030405Z");
  });

  it("query parts sort by their encoded names", () => {
    expect(encodeQuery({ b: "1", a: "é", "a-b": "" })).toBe("a=%C3%A9&a-b=&b=1");
  });
});
