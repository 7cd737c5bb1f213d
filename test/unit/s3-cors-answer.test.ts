import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { corsHeaders, preflight } from "../../objectstore/cors.js";
import { corsFromXml } from "../../objectstore/cors-document.js";
import { S3Error } from "../../src/errors/s3-error.js";
import type { Bucket } from "../../src/model/bucket.js";

function bucketWith(...rules: string[]): Bucket {
  const xml = `<CORSConfiguration>${rules.map((rule) => `<CORSRule>${rule}</CORSRule>`).join("")}</CORSConfiguration>`;
  return {
    name: "b",
    ownerId: "o",
    createdMs: 0,
    region: "us-east-1",
    versioning: "off",
    objectLock: false,
    durability: "strict",
    quotaBytes: null,
    quotaObjects: null,
    config: rules.length === 0 ? {} : { cors: JSON.stringify(corsFromXml(xml)) },
    revision: 1,
  };
}

const method = (name: string) => `<AllowedMethod>${name}</AllowedMethod>`;
const origin = (text: string) => `<AllowedOrigin>${text}</AllowedOrigin>`;
const header = (text: string) => `<AllowedHeader>${text}</AllowedHeader>`;

const asked = (headers: Record<string, string>, key?: string, verb = "OPTIONS") => ({
  method: verb,
  bucket: "b",
  key,
  headers: new Map(Object.entries(headers)),
});

const ask = (from: string, verb: string, headers?: string) =>
  asked({
    origin: from,
    "access-control-request-method": verb,
    ...(headers === undefined ? {} : { "access-control-request-headers": headers }),
  });

function refusal(run: () => unknown): S3Error {
  try {
    run();
  } catch (error) {
    if (error instanceof S3Error) return error;
    throw error;
  }
  return expect.unreachable("it was allowed");
}

const VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";

describe("a preflight", () => {
  it("a rule that names the origin: its answer, with credentials", () => {
    const bucket = bucketWith(
      `${method("GET")}${method("PUT")}${origin("https://a.example")}${header("*")}<ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>5</MaxAgeSeconds>`,
    );
    expect(preflight(ask("https://a.example", "PUT", "X-Amz-Date,  content-type"), bucket)).toEqual({
      status: 200,
      headers: {
        "access-control-allow-origin": "https://a.example",
        "access-control-allow-methods": "GET, PUT",
        "access-control-allow-headers": "x-amz-date, content-type",
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "ETag",
        "access-control-max-age": "5",
        vary: VARY,
      },
    });
  });

  it.each([
    ["https://*.example.com", "https://a.example.com", true],
    ["https://*.example.com", "https://.example.com", true],
    ["https://*.example.com", "https://example.com", false],
    ["https://*.example.com", "https://a.example.com.evil.org", false],
    ["https://*.example.com", "http://a.example.com", false],
    ["*suffix", "suffix", true],
    ["prefix*", "prefix.x", true],
    ["start*end", "startend", true],
    ["start*end", "starend", false],
    ["ab*ba", "aba", false],
    ["https://a.example", "https://A.example", false],
    ["https://a.example", "https://a.example:8080", false],
    ["", "https://a.example", false],
  ])("an allowed origin %j, asked by %j: %j", (pattern, from, allowed) => {
    const run = () => preflight(ask(from, "GET"), bucketWith(method("GET") + origin(pattern)));
    if (allowed) expect(run().headers["access-control-allow-origin"]).toBe(from);
    else expect(refusal(run).code).toBe("AccessForbidden");
  });

  it.each([
    ["*", "x-anything, y", true],
    ["x-amz-*", "X-Amz-Meta-A", true],
    ["x-amz-*", "x-amz-meta-a, authorization", false],
    ["Content-Type", "content-type", true],
    ["Content-Type", "", true],
  ])("an allowed header %j, asked for %j: %j", (pattern, names, allowed) => {
    const bucket = bucketWith(method("GET") + origin("*") + header(pattern));
    const run = () => preflight(ask("https://a", "GET", names), bucket);
    if (allowed) expect(run().status).toBe(200);
    else expect(refusal(run).code).toBe("AccessForbidden");
  });

  it("several rules: the first that allows all of it", () => {
    const bucket = bucketWith(method("PUT") + origin("*"), method("GET") + origin("https://a"));
    expect(preflight(ask("https://a", "GET"), bucket).headers["access-control-allow-methods"]).toBe("GET");
    expect(preflight(ask("https://a", "PUT"), bucket).headers["access-control-allow-origin"]).toBe("*");
    expect(refusal(() => preflight(ask("https://b", "GET"), bucket)).code).toBe("AccessForbidden");
  });

  it("a refusal: names the method asked for and what it was asked of", () => {
    const bucket = bucketWith(method("GET") + origin("https://a"));
    const ofObject = { ...ask("https://b", "GET"), key: "k" };
    expect(refusal(() => preflight(ofObject, bucket)).fields).toEqual({ Method: "GET", ResourceType: "OBJECT" });
    expect(refusal(() => preflight(ask("https://b", "GET"), bucket)).fields.ResourceType).toBe("BUCKET");
  });

  it("a bucket without rules: AccessForbidden", () => {
    expect(refusal(() => preflight(ask("https://a", "GET"), bucketWith())).message).toBe(
      "CORSResponse: CORS is not enabled for this bucket.",
    );
  });

  it("a bucket that is not there: NoSuchBucket", () => {
    expect(refusal(() => preflight(ask("https://a", "GET"), undefined)).code).toBe("NoSuchBucket");
  });

  it("the service itself: AccessForbidden", () => {
    const request = { ...ask("https://a", "GET"), bucket: undefined };
    expect(refusal(() => preflight(request, undefined)).code).toBe("AccessForbidden");
  });

  it.each<[string, Record<string, string>]>([
    ["no origin", { "access-control-request-method": "GET" }],
    ["no method", { origin: "https://a" }],
    ["an unknown method", { origin: "https://a", "access-control-request-method": "PATCH" }],
  ])("%s: BadRequest", (_, headers) => {
    expect(refusal(() => preflight(asked(headers), bucketWith(method("GET") + origin("*")))).code).toBe("BadRequest");
  });

  it("more header names than any browser sends: AccessForbidden", () => {
    const bucket = bucketWith(method("GET") + origin("*") + header("*"));
    const names = Array.from({ length: 201 }, (_, index) => `x-${index}`).join(",");
    expect(refusal(() => preflight(ask("https://a", "GET", names), bucket)).code).toBe("AccessForbidden");
  });
});

describe("headers of an actual answer", () => {
  it("a bucket without rules: none", () => {
    expect(corsHeaders(asked({ origin: "https://a" }, "k", "GET"), bucketWith())).toEqual({});
  });

  it("a rule that allows it: origin, methods, credentials, vary", () => {
    const bucket = bucketWith(method("GET") + method("PUT") + origin("http://example.com"));
    expect(corsHeaders(asked({ origin: "http://example.com" }, "k", "GET"), bucket)).toEqual({
      "access-control-allow-origin": "http://example.com",
      "access-control-allow-methods": "GET, PUT",
      "access-control-allow-credentials": "true",
      vary: VARY,
    });
  });

  it.each([
    ["no origin", {}, "GET"],
    ["another origin", { origin: "https://b" }, "GET"],
    ["another method", { origin: "https://a" }, "PUT"],
  ])("%s: vary alone, so that caches keep origins apart", (_, headers: Record<string, string>, verb) => {
    const bucket = bucketWith(method("GET") + origin("https://a"));
    expect(corsHeaders(asked(headers, "k", verb), bucket)).toEqual({ vary: VARY });
  });

  it("a method in Access-Control-Request-Method: judged by it", () => {
    const bucket = bucketWith(method("GET") + origin("https://a"));
    const request = asked({ origin: "https://a", "access-control-request-method": "GET" }, "k", "PUT");
    expect(corsHeaders(request, bucket)["access-control-allow-methods"]).toBe("GET");
  });
});

describe("hole: CORS reflecting any origin with credentials", () => {
  it("any origin under `*`: answered with `*`, never with credentials", () => {
    const bucket = bucketWith(method("GET") + origin("*"));
    fc.assert(
      fc.property(fc.webUrl(), (from) => {
        for (const headers of [
          preflight(ask(from, "GET"), bucket).headers,
          corsHeaders(asked({ origin: from }, "k", "GET"), bucket),
        ]) {
          expect(headers["access-control-allow-origin"]).toBe("*");
          expect(headers["access-control-allow-credentials"]).toBeUndefined();
        }
      }),
    );
  });

  it("the origin `null` where another is named: not allowed", () => {
    const bucket = bucketWith(method("GET") + origin("https://a"));
    expect(corsHeaders(asked({ origin: "null" }, "k", "GET"), bucket)).toEqual({ vary: VARY });
  });

  it("any text as origin: reflected only where it matches a pattern that has more than `*`", () => {
    const bucket = bucketWith(method("GET") + origin("https://*.example.com"));
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (from) => {
        const answered = corsHeaders(asked({ origin: from }, "k", "GET"), bucket)["access-control-allow-origin"];
        if (answered !== undefined) expect(from).toMatch(/^https:\/\/.*\.example\.com$/);
      }),
    );
  });
});

describe("hole: CRLF in echoed headers", () => {
  it("any text as origin or header names: no control character in an answer", () => {
    const bucket = bucketWith(method("GET") + origin("x*") + header("*"), method("GET") + origin("*") + header("*"));
    const text = fc.string({
      unit: fc.constantFrom("x", "a", ",", " ", "\r", "\n", "\u0000", "\u007f", "\u0085", ":"),
    });
    fc.assert(
      fc.property(text, text, (from, names) => {
        const request = ask(`x${from}`, "GET", names);
        const answers = [corsHeaders(request, bucket)];
        try {
          answers.push(preflight(request, bucket).headers);
        } catch (error) {
          expect(error).toBeInstanceOf(S3Error);
        }
        for (const value of answers.flatMap((answer) => Object.values(answer))) expect(value).toMatch(/^[\x20-\x7e]*$/);
      }),
    );
  });
});
