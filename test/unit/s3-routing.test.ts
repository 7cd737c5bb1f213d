import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Router } from "../../objectstore/routing/route.js";
import { ROUTES } from "../../objectstore/routing/table.js";
import type { S3Request } from "../../objectstore/types.js";
import { S3Error } from "../../src/errors/s3-error.js";

const root = path.resolve(import.meta.dirname, "../..");
const router = new Router(ROUTES);

function request(method: string, scope: "service" | "bucket" | "object", query: string, header?: string): S3Request {
  const pairs = query === "" ? [] : query.split("&").map((part) => part.split("=") as [string, string?]);
  return {
    method,
    bucket: scope === "service" ? undefined : "b",
    key: scope === "object" ? "k" : undefined,
    query: new Map(pairs.map(([name, value]) => [name, value ?? ""])),
    headers: new Map(header === undefined ? [] : [[header, "x"]]),
  } as unknown as S3Request;
}

const named = (...args: Parameters<typeof request>) => router.route(request(...args)).name;

function codeOf(...args: Parameters<typeof request>): string {
  try {
    return named(...args);
  } catch (error) {
    return error instanceof S3Error ? error.code : "no S3Error";
  }
}

describe("routing", () => {
  it.each([
    ["GET", "service", "", "ListBuckets"],
    ["GET", "bucket", "", "ListObjects"],
    ["GET", "bucket", "list-type=2&prefix=a", "ListObjectsV2"],
    ["GET", "bucket", "versions&prefix=a", "ListObjectVersions"],
    ["GET", "bucket", "uploads", "ListMultipartUploads"],
    ["GET", "bucket", "location", "GetBucketLocation"],
    ["PUT", "bucket", "", "CreateBucket"],
    ["POST", "bucket", "delete", "DeleteObjects"],
    ["POST", "bucket", "", "PostObject"],
    ["GET", "object", "x-id=GetObject", "GetObject"],
    ["GET", "object", "versionId=abc", "GetObject"],
    ["GET", "object", "partNumber=2", "GetObject"],
    ["GET", "object", "uploadId=u", "ListParts"],
    ["PUT", "object", "partNumber=1&uploadId=u", "UploadPart"],
    ["DELETE", "object", "uploadId=u", "AbortMultipartUpload"],
    ["POST", "object", "uploads", "CreateMultipartUpload"],
    ["PUT", "object", "tagging&versionId=v", "PutObjectTagging"],
    ["PUT", "object", "renameObject", "RenameObject"],
    ["GET", "object", "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=s&response-expires=x", "GetObject"],
  ] as const)("%s %s ?%s: %s", (method, scope, query, name) => {
    expect(named(method, scope, query)).toBe(name);
  });

  it("a copy source makes PutObject a copy and UploadPart a part copy", () => {
    expect(named("PUT", "object", "", "x-amz-copy-source")).toBe("CopyObject");
    expect(named("PUT", "object", "partNumber=1&uploadId=u", "x-amz-copy-source")).toBe("UploadPartCopy");
  });

  it("rule 31: an unknown subresource never falls through to PutObject or ListObjects", () => {
    for (const method of ["GET", "PUT", "DELETE", "POST"])
      for (const scope of ["bucket", "object"] as const)
        expect([method, scope, codeOf(method, scope, "unknown")]).toEqual([method, scope, "NotImplemented"]);
    expect(codeOf("PUT", "object", "unknown=1")).toBe("NotImplemented");
    expect(codeOf("DELETE", "bucket", "unknown=1")).toBe("NotImplemented");
  });

  it("a known subresource with a method that it does not have: MethodNotAllowed", () => {
    expect(codeOf("DELETE", "bucket", "versioning")).toBe("MethodNotAllowed");
    expect(codeOf("DELETE", "bucket", "acl")).toBe("MethodNotAllowed");
    expect(codeOf("POST", "service", "")).toBe("MethodNotAllowed");
    expect(codeOf("PATCH", "object", "")).toBe("MethodNotAllowed");
  });

  it("what a reader adds as a parameter is ignored, as S3 does", () => {
    expect(named("GET", "object", "nocache=123")).toBe("GetObject");
  });

  it("any query: an operation or an S3Error, and never a plain write for a bare unknown name", () => {
    fc.assert(
      fc.property(
        fc.constantFrom("GET", "PUT", "POST", "DELETE", "HEAD"),
        fc.constantFrom("service" as const, "bucket" as const, "object" as const),
        fc.stringMatching(/^[A-Za-z-]{1,12}$/),
        (method, scope, name) => {
          const answer = codeOf(method, scope, name);
          expect(answer).not.toBe("no S3Error");
          const known = ROUTES.some((route) => route.query.includes(name));
          if (!known && method === "PUT" && !/^(x-amz-|x-id$)/i.test(name) && scope === "object")
            expect(["PutObject", "NotImplemented", "MethodNotAllowed"]).toContain(answer);
        },
      ),
    );
  });
});

describe("the table of operations", () => {
  it("every operation's file is in the table", () => {
    const files = readdirSync(path.join(root, "objectstore/operations")).filter((name) => name.endsWith(".ts"));
    const kebab = (name: string) => name.replace(/(?<=[a-z0-9])(?=[A-Z])/g, "-").toLowerCase();
    const rows = new Set(ROUTES.map(({ operation }) => `${kebab(operation.name)}.ts`));
    expect(files.filter((file) => !rows.has(file))).toEqual([]);
  });

  it("README's table has each of them, and says what the code says", () => {
    const readme = readFileSync(path.join(root, "README.md"), "utf8");
    const said = new Map([...readme.matchAll(/^\| `(\w+)` \| (yes|501)/gm)].map((match) => [match[1], match[2]]));
    for (const { operation } of ROUTES) {
      const expected = operation.refused ? "501" : "yes";
      expect([operation.name, said.get(operation.name)]).toEqual([operation.name, expected]);
    }
    const names = new Set(ROUTES.map(({ operation }) => operation.name));
    expect([...said.keys()].filter((name) => !names.has(name ?? ""))).toEqual([]);
  });
});
