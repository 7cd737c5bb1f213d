import { describe, expect, it } from "vitest";
import { readMetadata, storageClassOf, storedContentEncoding } from "../../objectstore/attributes.js";
import { deleteManyPreconditions, deletePreconditions, writePreconditions } from "../../objectstore/preconditions.js";
import { applyOverrides } from "../../objectstore/response-overrides.js";

const headers = (...pairs: [string, string][]) => new Map(pairs);
const code = (name: string) => expect.objectContaining({ code: name });

describe("metadata of a write", () => {
  it("nothing said: the default content type", () => {
    expect(readMetadata(headers())).toEqual({ contentType: "binary/octet-stream", system: [], user: [] });
  });

  it("system and user metadata: kept by name, other headers not", () => {
    const metadata = readMetadata(
      headers(
        ["host", "h"],
        ["content-type", "text/plain"],
        ["cache-control", "no-cache"],
        ["content-encoding", "gzip"],
        ["x-amz-meta-a", "1"],
        ["x-amz-date", "now"],
        ["x-amz-website-redirect-location", "/other"],
      ),
    );
    expect(metadata).toEqual({
      contentType: "text/plain",
      system: [
        ["cache-control", "no-cache"],
        ["content-encoding", "gzip"],
        ["x-amz-website-redirect-location", "/other"],
      ],
      user: [["a", "1"]],
    });
  });

  it.each([
    ["aws-chunked", ""],
    ["aws-chunked,gzip", "gzip"],
    ["gzip, AWS-Chunked", "gzip"],
    ["gzip,aws-chunked,br", "gzip,br"],
    ["gzip", "gzip"],
  ])("rule 9: Content-Encoding %s is kept as %j", (value, kept) => {
    expect(storedContentEncoding(value)).toBe(kept);
  });

  it("rule 18: 2 KB of user metadata in UTF-8 pass, one more does not", () => {
    const ok = headers(["x-amz-meta-a", "é".repeat(1023)], ["x-amz-meta-b", ""]);
    expect(readMetadata(ok).user).toHaveLength(2);
    expect(() => readMetadata(headers(["x-amz-meta-a", "é".repeat(1024)]))).toThrow(code("MetadataTooLarge"));
  });

  it("prototype pollution by metadata: `__proto__` is a name like any other", () => {
    const { user } = readMetadata(headers(["x-amz-meta-__proto__", "x"], ["x-amz-meta-constructor", "y"]));
    expect(user).toEqual([
      ["__proto__", "x"],
      ["constructor", "y"],
    ]);
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });

  it.each([
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "x-amz-write-offset-bytes",
  ])("SSE answered but not done: %s is refused, and its value not told", (name) => {
    try {
      readMetadata(headers([name, "secret-value"]));
      throw new Error("it was accepted");
    } catch (error) {
      expect(error).toMatchObject({ code: "NotImplemented", status: 501 });
      expect(JSON.stringify(error) + String(error)).not.toContain("secret-value");
    }
  });

  it("CRLF in echoed headers: what no header can carry, of a form's field, is a blank", () => {
    const { system } = readMetadata(headers(["content-disposition", "a\r\nset-cookie: \u{1f600}é"]), "as-they-are");
    expect(system).toEqual([["content-disposition", "a  set-cookie:  é"]]);
  });

  it("encoded words in headers: decoded; in a form's fields: as they are", () => {
    const given = headers(["x-amz-meta-a", "=?UTF-8?B?YWJj?="]);
    expect(readMetadata(given).user).toEqual([["a", "abc"]]);
    expect(readMetadata(given, "as-they-are").user).toEqual([["a", "=?UTF-8?B?YWJj?="]]);
  });

  it("a form's metadata name that no header can have: refused", () => {
    expect(() => readMetadata(headers(["x-amz-meta-a\r\nb", "1"]))).toThrow(code("InvalidArgument"));
  });

  it("a redirect that is neither path nor URL: InvalidArgument", () => {
    expect(() => readMetadata(headers(["x-amz-website-redirect-location", "other"]))).toThrow(code("InvalidArgument"));
  });
});

describe("storage classes", () => {
  it("none: STANDARD; a known one: itself", () => {
    expect(storageClassOf(headers())).toBe("STANDARD");
    expect(storageClassOf(headers(["x-amz-storage-class", "GLACIER_IR"]))).toBe("GLACIER_IR");
  });

  it.each(["", "standard", "GOLD", "OUTPOSTS", "constructor"])("%j: InvalidStorageClass", (name) => {
    expect(() => storageClassOf(headers(["x-amz-storage-class", name]))).toThrow(code("InvalidStorageClass"));
  });
});

describe("rule 16: conditional writes", () => {
  it("If-None-Match and If-Match: without their quotes", () => {
    expect(writePreconditions(headers())).toEqual({});
    expect(writePreconditions(headers(["if-none-match", "*"]))).toEqual({ ifNoneMatch: "*" });
    expect(writePreconditions(headers(["if-match", '"abc"']))).toEqual({ ifMatch: "abc" });
    expect(writePreconditions(headers(["if-match", "abc"]))).toEqual({ ifMatch: "abc" });
  });

  it.each([
    headers(["if-match", "a"], ["if-none-match", "*"]),
    headers(["if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT"]),
    headers(["if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT"]),
  ])("what writes do not have: 501", (given) => {
    expect(() => writePreconditions(given)).toThrow(code("NotImplemented"));
  });

  it.each(["", '""', '"a","b"'])("If-Match %j: InvalidArgument", (value) => {
    expect(() => writePreconditions(headers(["if-match", value]))).toThrow(code("InvalidArgument"));
  });

  it("deletes: ETag, time and size", () => {
    const conditions = deletePreconditions(
      headers(
        ["if-match", '"abc"'],
        ["x-amz-if-match-last-modified-time", "Sun, 06 Nov 1994 08:49:37 GMT"],
        ["x-amz-if-match-size", "12"],
      ),
    );
    expect(conditions).toEqual({
      ifMatch: "abc",
      ifMatchLastModifiedMs: Date.UTC(1994, 10, 6, 8, 49, 37),
      ifMatchSizeBytes: 12,
    });
    expect(
      deleteManyPreconditions({ etag: undefined, lastModified: "1994-11-06T08:49:37.000Z", size: undefined }),
    ).toEqual({ ifMatchLastModifiedMs: Date.UTC(1994, 10, 6, 8, 49, 37) });
  });

  it.each([
    headers(["x-amz-if-match-size", "-1"]),
    headers(["x-amz-if-match-size", "1e3"]),
    headers(["x-amz-if-match-last-modified-time", "soon"]),
  ])("a delete's condition that cannot be read: 400, never ignored", (given) => {
    expect(() => deletePreconditions(given)).toThrow(code("InvalidArgument"));
  });
});

describe("rule 19: response overrides", () => {
  const apply = (query: [string, string][], type: "anonymous" | "REST-HEADER" | "REST-QUERY-STRING") => {
    const answer: Record<string, string> = { "content-type": "text/plain" };
    applyOverrides(answer, new Map(query), type);
    return answer;
  };

  it("signed: the headers are set", () => {
    const query: [string, string][] = [
      ["response-content-type", "image/png"],
      ["response-content-disposition", 'attachment; filename="caf\u00e9"'],
      ["response-expires", "x"],
    ];
    expect(apply(query, "REST-QUERY-STRING")).toEqual({
      "content-type": "image/png",
      "content-disposition": 'attachment; filename="caf\u00e9"',
      expires: "x",
    });
  });

  it("unsigned: InvalidRequest", () => {
    expect(() => apply([["response-content-type", "image/png"]], "anonymous")).toThrow(code("InvalidRequest"));
    expect(apply([["versionId", "x"]], "anonymous")).toEqual({ "content-type": "text/plain" });
  });

  it.each(["a\r\nset-cookie: x=1", "日本"])("CRLF in echoed headers: %j is refused", (value) => {
    expect(() => apply([["response-content-disposition", value]], "REST-HEADER")).toThrow(code("InvalidArgument"));
  });
});
