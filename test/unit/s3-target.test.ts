import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalPath, canonicalQuery } from "../../objectstore/auth/canonical.js";
import { percentDecode, percentEncode } from "../../objectstore/http/percent.js";
import { parseTarget } from "../../objectstore/http/target.js";
import { S3Error } from "../../src/errors/s3-error.js";

const DOMAINS = ["s3.test", "a.s3.test"];

function codeOf(target: string, host = "localhost"): string | undefined {
  try {
    parseTarget(target, host, DOMAINS);
    return undefined;
  } catch (error) {
    if (error instanceof S3Error) return error.code;
    throw error;
  }
}

const named = (target: string, host = "localhost:9000") => {
  const { bucket, key, virtualHosted } = parseTarget(target, host, DOMAINS);
  return [bucket, key, virtualHosted];
};

describe("request targets, path style", () => {
  it.each([
    ["/", undefined, undefined],
    ["/?list-type=2", undefined, undefined],
    ["/bucket", "bucket", undefined],
    ["/bucket/", "bucket", undefined],
    ["/bucket?acl", "bucket", undefined],
    ["/bucket/key", "bucket", "key"],
    ["/bucket//", "bucket", "/"],
    ["/bucket//a//b/", "bucket", "/a//b/"],
    ["/bucket/../other/key", "bucket", "../other/key"],
    ["/bucket/%2e%2E/./..", "bucket", ".././.."],
    ["/bucket/a%2Fb", "bucket", "a/b"],
    ["/bucket/%252e", "bucket", "%2e"],
    ["/bucket/a+b%2Bc%20d", "bucket", "a+b+c d"],
    ["/bucket/%3Facl", "bucket", "?acl"],
    ["/bucket/%F0%9F%98%80/\u00e9".replace("\u00e9", "\u00c3\u00a9"), "bucket", "😀/é"],
    ["/bucket/%EF%BB%BFa", "bucket", "\ufeffa"],
    ["/bucket/%00%0A%7F", "bucket", "\0\n\x7f"],
    ["/Not_a-Valid..Name/key", "Not_a-Valid..Name", "key"],
    ["/bucket?a=b?c&d=/e", "bucket", undefined],
  ])("%s: bucket %s, key %s", (target, bucket, key) => {
    expect(named(target)).toEqual([bucket, key, false]);
  });

  it("//bucket/key: a bucket without a name, not a host", () => {
    expect(named("//bucket/key")).toEqual(["", "bucket/key", false]);
  });

  it("one string decoded differently: an encoded slash names the same as the bare one, for signature and storage", () => {
    expect(named("/bucket%2Fkey")).toEqual(named("/bucket/key"));
    expect(canonicalPath("/bucket%2Fkey")).toBe("/bucket/key");
  });

  it.each([
    "/b/%",
    "/b/%4",
    "/b/%zz",
    "/b/%C3",
    "/b/%C3%28",
    "/b/%ED%A0%80",
    "/b/%FF",
    "/b/%C0%AF",
    "/b/\xff",
    "/b?%zz",
    "/b?a=%C3",
    "/b#c",
  ])("%s: InvalidURI", (target) => {
    expect(codeOf(target)).toBe("InvalidURI");
  });

  it("a key of 1024 bytes: taken; of one more: KeyTooLongError, whatever its characters", () => {
    for (const char of ["a", "%61", "%C3%A9", "%F0%9F%98%80"]) {
      const bytes = Buffer.byteLength(decodeURIComponent(char));
      expect(codeOf(`/b/${char.repeat(1024 / bytes)}`)).toBeUndefined();
      expect(codeOf(`/b/${char.repeat(1024 / bytes)}a`)).toBe("KeyTooLongError");
    }
  });
});

describe("request targets, absolute and other forms", () => {
  it("absolute form of the same host: as its path", () => {
    expect(named("http://LOCALHOST:9000/bucket/key?a", "localhost:9000")).toEqual(["bucket", "key", false]);
    expect(named("https://localhost", "localhost")).toEqual([undefined, undefined, false]);
    expect(parseTarget("http://localhost?acl", "localhost", []).query.has("acl")).toBe(true);
    expect(named("http://b.s3.test/key", "b.s3.test")).toEqual(["b", "key", true]);
  });

  it.each([
    "http://other/b/k",
    "http://user@localhost/b",
    "*",
    "",
    "bucket/key",
    "localhost:443",
    "ftp://localhost/b",
    "http:/b",
  ])("%s: InvalidURI", (target) => {
    expect(codeOf(target)).toBe("InvalidURI");
  });
});

describe("request targets, virtual-hosted style", () => {
  it.each([
    ["b.s3.test", "/key", "b", "key", true],
    ["b.s3.test", "/", "b", undefined, true],
    ["b.s3.test:9000", "//key", "b", "/key", true],
    ["My.Dotted.S3.Test", "/k", "my.dotted", "k", true],
    ["b.a.s3.test", "/k", "b", "k", true],
    ["s3.test", "/b/k", "b", "k", false],
    ["a.s3.test:80", "/b/k", "b", "k", false],
    ["s3.test.", "/b/k", "b", "k", false],
    ["b.s3.test.", "/k", "b", "k", true],
    ["xs3.test", "/b/k", "b", "k", false],
    [".s3.test", "/b/k", "b", "k", false],
    ["127.0.0.1:9000", "/b/k", "b", "k", false],
    ["[::1]:9000", "/b/k", "b", "k", false],
    ["", "/b/k", "b", "k", false],
  ])("Host %s, %s: bucket %s, key %s", (host, target, bucket, key, hosted) => {
    expect(named(target, host)).toEqual([bucket, key, hosted]);
  });
});

describe("queries", () => {
  it("names and values decoded, the first of each, bare names, + as a space", () => {
    const { query, rawQuery } = parseTarget("/b?acl&prefix=a+b%2Bc&prefix=d&=x&&__proto__=p&k%C3%A9y=%3D", "h", []);
    expect([...query]).toEqual([
      ["acl", ""],
      ["prefix", "a b+c"],
      ["", "x"],
      ["__proto__", "p"],
      ["kéy", "="],
    ]);
    expect(rawQuery).toBe("acl&prefix=a+b%2Bc&prefix=d&=x&&__proto__=p&k%C3%A9y=%3D");
  });

  it.each([
    ["", ""],
    ["acl", "acl="],
    ["b=2&a=2&a=1&a", "a=&a=1&a=2&b=2"],
    ["prefix=a%2fb&prefix=A", "prefix=A&prefix=a%2Fb"],
    ["a-b=1&a=1&a%20=1", "a=1&a%20=1&a-b=1"],
    ["k=!'()*~&&", "k=%21%27%28%29%2A~"],
    ["k=a+b", "k=a%20b"],
    ["k=a=b", "k=a%3Db"],
  ])("%s: canonically %s", (raw, canonical) => {
    expect(canonicalQuery(raw)).toBe(canonical);
  });

  it("without the signature, wherever and however often it stands", () => {
    expect(canonicalQuery("X-Amz-Signature=1&b=1&X-Amz-Signature=2&a", "X-Amz-Signature")).toBe("a=&b=1");
  });
});

describe("request targets, any", () => {
  const text = fc.string({ unit: "binary" });
  const encoded = (value: string): string => percentEncode(Buffer.from(value), "encoded");

  it("a key encoded in any way: decoded to itself, and canonically the same", () => {
    const key = fc.string({ unit: "binary", minLength: 1, maxLength: 100 });
    fc.assert(
      fc.property(key, (name) => {
        const bytes = Buffer.from(name);
        const every = [...bytes].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
        const usual = encodeURIComponent(name).replaceAll("%2F", "/");
        for (const path of [`/b/${every}`, `/b/${usual}`, `/b/${encoded(name)}`]) {
          expect(parseTarget(path, "h", []).key).toBe(name);
          expect(canonicalPath(path)).toBe(`/b/${percentEncode(bytes, "kept")}`);
        }
      }),
    );
  });

  it("what is decoded and encoded again: as it was", () => {
    fc.assert(
      fc.property(text, (value) => {
        expect(percentDecode(encoded(value), "path")).toBe(value);
        expect(percentDecode(encoded(value), "query")).toBe(value);
      }),
    );
  });

  it("queries of any names and values: each first value found", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text)), (pairs) => {
        const raw = pairs.map(([name, value]) => `${encoded(name)}=${encoded(value)}`).join("&");
        const { query } = parseTarget(`/?${raw}`, "h", []);
        const expected = new Map([...pairs].reverse());
        for (const [name, value] of expected) expect(query.get(name)).toBe(value);
      }),
    );
  });

  it("any bytes for target and Host: parsed or refused as S3 does, and canonical where parsed", () => {
    const latin1 = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
    const piece = fc.constantFrom(
      "/",
      "%2F",
      "%",
      "..",
      "?",
      "&",
      "=",
      "+",
      "%C3%A9",
      "é",
      "b",
      "s3.test",
      ".",
      ":",
      "#",
      "http://",
    );
    const mixed = fc.array(fc.oneof(piece, latin1), { maxLength: 12 }).map((pieces) => pieces.join(""));
    fc.assert(
      fc.property(
        fc.oneof(
          mixed,
          mixed.map((rest) => `/${rest}`),
        ),
        mixed,
        (target, host) => {
          if (codeOf(target, host) !== undefined) return;
          const { rawPath, rawQuery } = parseTarget(target, host, DOMAINS);
          expect(canonicalPath(canonicalPath(rawPath))).toBe(canonicalPath(rawPath));
          expect(canonicalQuery(canonicalQuery(rawQuery))).toBe(canonicalQuery(rawQuery));
        },
      ),
      { numRuns: 2000 },
    );
  });
});
