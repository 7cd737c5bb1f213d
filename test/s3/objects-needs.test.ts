import { createHash } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { type RawAnswer, rawRequest } from "./exact-request.js";
import { beginUpload } from "./multipart-world.js";
import { allow, allowAll, arn, texts, useWorld } from "./s3-world.js";
import type { KeyPair } from "./sdk-clients.js";

const world = useWorld();
const MD5_OF_X = "ndTkYSaMgDT1yFZOFVxnpg==";
const outcome = ({ status, code }: RawAnswer) => (code === "" ? `${status}` : `${status} ${code}`);
const DENIED = "403 AccessDenied";

/** What the user may is what the bucket's policy gives: nothing else is attached. */
let user: KeyPair & { name: string; id: string };
beforeAll(() => {
  user = world.user();
});

const as = (bucket: string, key: string | undefined, options: Parameters<typeof world.send>[2] = {}) =>
  world.send(bucket, key, { ...options, as: user }).then(outcome);
const may = (bucket: string, actions: string | string[], more: object = {}, resource = arn(bucket, "*")) =>
  world.policy(bucket, allowAll(actions, resource, more));

describe("GetObject checked where GetObjectVersion was due", () => {
  it("each read of a version has an action of its own", async () => {
    const bucket = await world.bucket({ versioning: "Enabled" });
    const version = (await world.put(bucket, "k", "x")).headers["x-amz-version-id"];
    const reads = ["", "tagging", "attributes"] as const;
    const ask = (subresource: string, named: boolean, method = "GET") => {
      const query = [subresource, named ? `versionId=${version}` : ""].filter((part) => part !== "").join("&");
      return as(bucket, "k", { method, query, headers: { "x-amz-object-attributes": "ETag" } });
    };
    await may(bucket, ["s3:GetObject", "s3:GetObjectTagging", "s3:GetObjectAttributes"]);
    for (const read of reads) expect([read, await ask(read, false)]).toEqual([read, "200"]);
    for (const read of reads) expect([read, await ask(read, true)]).toEqual([read, DENIED]);
    await may(bucket, ["s3:GetObjectVersion", "s3:GetObjectVersionTagging", "s3:GetObjectVersionAttributes"]);
    for (const read of reads) expect([read, await ask(read, true)]).toEqual([read, "200"]);
    for (const read of reads) expect([read, await ask(read, false)]).toEqual([read, DENIED]);
    expect(await ask("", false, "HEAD")).toBe("403");
  });
});

describe("copy source not authorized", () => {
  it("a writer that may not read: neither by copy, nor by part copy, nor by rename", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "secret", "s");
    await may(bucket, ["s3:PutObject", "s3:DeleteObject"]);
    const source = { "x-amz-copy-source": `/${bucket}/secret` };
    expect(await as(bucket, "k", { method: "PUT", headers: source })).toBe(DENIED);
    const upload = await beginUpload(world, bucket);
    const query = `partNumber=1&uploadId=${upload.id}`;
    expect(await as(bucket, "k", { method: "PUT", query, headers: source })).toBe(DENIED);
    const rename = { query: "renameObject", headers: { "x-amz-rename-source": "secret" } };
    expect(await as(bucket, "k", { method: "PUT", ...rename })).toBe(DENIED);
    expect((await world.get(bucket, "secret")).text).toBe("s");
  });

  it("tags that come with a copy: read and written by permissions of their own", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "a", "x", { "x-amz-tagging": "k=v" });
    const copy = { method: "PUT", headers: { "x-amz-copy-source": `/${bucket}/a` } };
    await may(bucket, ["s3:GetObject", "s3:PutObject"]);
    expect(await as(bucket, "b", copy)).toBe(DENIED);
    await may(bucket, ["s3:GetObject", "s3:PutObject", "s3:GetObjectTagging"]);
    expect(await as(bucket, "b", copy)).toBe(DENIED);
    await may(bucket, ["s3:GetObject", "s3:PutObject", "s3:GetObjectTagging", "s3:PutObjectTagging"]);
    expect(await as(bucket, "b", copy)).toBe("200");
    await may(bucket, ["s3:GetObject", "s3:PutObject"]);
    const replaced = { ...copy, headers: { ...copy.headers, "x-amz-tagging-directive": "REPLACE" } };
    expect(await as(bucket, "b", replaced)).toBe("200");
  });
});

describe("bulk delete not authorized per key", () => {
  it("versions by their own action; conditions by ETag need the right to read", async () => {
    const bucket = await world.bucket({ versioning: "Enabled" });
    const { etag, "x-amz-version-id": version } = (await world.put(bucket, "k", "x")).headers;
    await may(bucket, "s3:DeleteObject");
    const object = (more: string) => `<Object><Key>k</Key>${more}</Object>`;
    const remove = async (...objects: string[]) => {
      const body = `<Delete>${objects.join("")}</Delete>`;
      const md5 = createHash("md5").update(body).digest("base64");
      const answer = await world.send(bucket, undefined, {
        ...{ method: "POST", query: "delete", body, as: user },
        headers: { "content-md5": md5 },
      });
      return texts(answer.xml(), "Error/Code");
    };
    expect(await remove(object(`<VersionId>${version}</VersionId>`), object(`<ETag>${etag}</ETag>`))).toEqual([
      ...["AccessDenied", "AccessDenied"],
    ]);
    expect((await world.get(bucket, "k")).text).toBe("x");
    expect(await remove(object("<ETag>*</ETag>"))).toEqual([]);
  });
});

describe("tag, lock or ACL headers on PUT not authorized", () => {
  it.each([
    ["x-amz-tagging", "a=b", "s3:PutObjectTagging"],
    ["x-amz-object-lock-legal-hold", "ON", "s3:PutObjectLegalHold"],
    ["x-amz-acl", "public-read", "s3:PutObjectAcl"],
    ["x-amz-grant-read", 'uri="http://acs.amazonaws.com/groups/global/AllUsers"', "s3:PutObjectAcl"],
  ])("%s needs %s: on puts, copies and uploads", async (name, value, action) => {
    const bucket = await world.bucket({ lock: true, acls: true });
    await world.put(bucket, "a", "x");
    const headers = { [name]: value };
    const copy = { "x-amz-copy-source": `/${bucket}/a`, "x-amz-tagging-directive": "REPLACE", ...headers };
    const all = async () => [
      await as(bucket, "k", { method: "PUT", body: "x", headers: { ...headers, "content-md5": MD5_OF_X } }),
      await as(bucket, "k", { method: "PUT", headers: copy }),
      await as(bucket, "k", { method: "POST", query: "uploads", headers }),
    ];
    await may(bucket, ["s3:PutObject", "s3:GetObject"]);
    expect(await all()).toEqual([DENIED, DENIED, DENIED]);
    await may(bucket, ["s3:PutObject", "s3:GetObject", action]);
    expect(await all()).toEqual(["200", "200", "200"]);
  });
});

describe("client-supplied internal header", () => {
  it("headers that servers use among themselves, and identities in headers: change nothing", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "x");
    const headers: Record<string, string> = {
      "x-granary-user": "root",
      "x-amz-meta-owner": "root",
      "x-forwarded-for": "127.0.0.1",
      "x-minio-source-replication-request": "true",
      "x-amz-replication-status": "REPLICA",
      "x-rgw-auth": "admin",
      "x-amz-source-version-id": "1",
    };
    expect(outcome(await rawRequest(world.server, { target: `/${bucket}/k`, headers, as: null }))).toBe(DENIED);
    const put = await world.put(bucket, "k", "y", headers);
    expect(put.status).toBe(200);
    const got = await world.get(bucket, "k");
    for (const name of ["x-amz-replication-status", "x-granary-user"]) expect(got.headers[name]).toBeUndefined();
  });
});

describe("condition keys of requests", () => {
  it("s3:prefix, s3:delimiter and s3:max-keys of listings", async () => {
    const bucket = await world.bucket();
    const condition = (kind: string, key: string, value: string) =>
      may(bucket, ["s3:ListBucket", "s3:ListBucketVersions"], { Condition: { [kind]: { [key]: value } } }, arn(bucket));
    const list = (query: string) => as(bucket, undefined, { query });
    await condition("StringLike", "s3:prefix", "home/*");
    expect(await list("list-type=2&prefix=home/me")).toBe("200");
    expect(await list("list-type=2&prefix=other")).toBe(DENIED);
    expect(await list("prefix=home/me")).toBe("200");
    expect(await list("versions&prefix=home/me")).toBe("200");
    expect(await list("list-type=2")).toBe(DENIED);
    await condition("StringEquals", "s3:delimiter", "/");
    expect(await list("list-type=2&delimiter=/")).toBe("200");
    expect(await list("list-type=2")).toBe(DENIED);
    await condition("NumericLessThanEquals", "s3:max-keys", "10");
    expect(await list("list-type=2&max-keys=10")).toBe("200");
    expect(await list("list-type=2&max-keys=11")).toBe(DENIED);
  });

  it("s3:RequestObjectTag of x-amz-tagging and of the document", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "x");
    const Condition = { StringEquals: { "s3:RequestObjectTag/team": "red" } };
    await may(bucket, ["s3:PutObject", "s3:PutObjectTagging"], { Condition });
    // Another key: what the user writes may be its own, to tag as it likes.
    const put = (tags: string) => as(bucket, "new", { method: "PUT", headers: { "x-amz-tagging": tags } });
    expect([await put("team=red"), await put("team=blue"), await put("other=red")]).toEqual(["200", DENIED, DENIED]);
    const document = (value: string) =>
      `<Tagging><TagSet><Tag><Key>team</Key><Value>${value}</Value></Tag></TagSet></Tagging>`;
    const tag = (value: string) => as(bucket, "k", { method: "PUT", query: "tagging", body: document(value) });
    expect([await tag("red"), await tag("blue")]).toEqual(["200", DENIED]);
  });

  it("s3:x-amz-copy-source, s3:x-amz-storage-class, s3:if-none-match", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "open/a", "x");
    await world.put(bucket, "closed/a", "x");
    const read = allowAll("s3:GetObject", arn(bucket, "*"));
    const write = (Condition: object) => allowAll("s3:PutObject", arn(bucket, "to/*"), { Condition });
    await world.policy(bucket, read, write({ StringLike: { "s3:x-amz-copy-source": `${bucket}/open/*` } }));
    const copy = (from: string) => as(bucket, "to/k", { method: "PUT", headers: { "x-amz-copy-source": from } });
    expect(await copy(`/${bucket}/open/a`)).toBe("200");
    expect(await copy(`${bucket}%2Fopen%2Fa`)).toBe("200");
    expect(await copy(`/${bucket}/closed/a`)).toBe(DENIED);
    await world.policy(bucket, write({ StringEquals: { "s3:x-amz-storage-class": "STANDARD_IA" } }));
    const put = (headers: Record<string, string>) => as(bucket, "to/k", { method: "PUT", body: "x", headers });
    expect(await put({ "x-amz-storage-class": "STANDARD_IA" })).toBe("200");
    expect(await put({ "x-amz-storage-class": "GLACIER" })).toBe(DENIED);
    await world.policy(bucket, write({ Null: { "s3:if-none-match": "false" } }));
    expect(await as(bucket, "to/new", { method: "PUT", body: "x", headers: { "if-none-match": "*" } })).toBe("200");
    expect(await put({})).toBe(DENIED);
  });

  it("s3:VersionId, s3:ExistingObjectTag", async () => {
    const bucket = await world.bucket({ versioning: "Enabled" });
    const [first, second] = [
      (await world.put(bucket, "k", "1", { "x-amz-tagging": "open=yes" })).headers["x-amz-version-id"],
      (await world.put(bucket, "k", "2")).headers["x-amz-version-id"],
    ];
    await may(bucket, "s3:GetObjectVersion", { Condition: { StringEquals: { "s3:VersionId": String(first) } } });
    expect(await as(bucket, "k", { query: `versionId=${first}` })).toBe("200");
    expect(await as(bucket, "k", { query: `versionId=${second}` })).toBe(DENIED);
    const Condition = { StringEquals: { "s3:ExistingObjectTag/open": "yes" } };
    await may(bucket, ["s3:GetObject", "s3:GetObjectVersion"], { Condition });
    expect(await as(bucket, "k", { query: `versionId=${first}` })).toBe("200");
    expect(await as(bucket, "k")).toBe(DENIED);
  });

  it("s3:object-lock-remaining-retention-days of headers and of the document", async () => {
    const bucket = await world.bucket({ lock: true });
    await world.put(bucket, "k", "x");
    const Condition = { NumericLessThanEquals: { "s3:object-lock-remaining-retention-days": "10" } };
    await may(bucket, ["s3:PutObject", "s3:PutObjectRetention"], { Condition });
    const until = (days: number) => new Date(Date.now() + days * 86_400_000 - 60_000).toISOString();
    const put = (days: number) => {
      const headers = {
        "x-amz-object-lock-mode": "GOVERNANCE",
        "x-amz-object-lock-retain-until-date": until(days),
        "content-md5": MD5_OF_X,
      };
      return as(bucket, "new", { method: "PUT", body: "x", headers });
    };
    expect([await put(5), await put(11)]).toEqual(["200", DENIED]);
    const retain = (days: number) => {
      const body = `<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>${until(days)}</RetainUntilDate></Retention>`;
      return as(bucket, "k", { method: "PUT", query: "retention", body });
    };
    expect([await retain(5), await retain(11)]).toEqual(["200", DENIED]);
  });
});

describe("what a caller is told", () => {
  it("tags and locks of an object: only to who may ask for them", async () => {
    const bucket = await world.bucket({ lock: true });
    const lock = { "x-amz-object-lock-legal-hold": "ON", "content-md5": MD5_OF_X };
    expect(outcome(await world.put(bucket, "k", "x", { "x-amz-tagging": "a=b", ...lock }))).toBe("200");
    const headers = async () => {
      const answer = await world.send(bucket, "k", { as: user });
      return [answer.headers["x-amz-tagging-count"], answer.headers["x-amz-object-lock-legal-hold"]];
    };
    await may(bucket, "s3:GetObject");
    expect(await headers()).toEqual([undefined, undefined]);
    await may(bucket, ["s3:GetObject", "s3:GetObjectTagging", "s3:GetObjectLegalHold"]);
    expect(await headers()).toEqual(["1", "ON"]);
  });

  it("an ETag as condition of a write takes the right to read", async () => {
    const bucket = await world.bucket();
    const { etag = "" } = (await world.put(bucket, "k", "x")).headers;
    const put = (value: string) => as(bucket, "k", { method: "PUT", body: "y", headers: { "if-match": value } });
    const remove = (value: string) => as(bucket, "k", { method: "DELETE", headers: { "if-match": value } });
    await may(bucket, ["s3:PutObject", "s3:DeleteObject"]);
    expect([await put(etag), await put('"x"'), await remove(etag)]).toEqual([DENIED, DENIED, DENIED]);
    expect(await put("*")).toBe("200");
    await may(bucket, ["s3:PutObject", "s3:DeleteObject", "s3:GetObject"]);
    expect(await put('"x"')).toBe("412 PreconditionFailed");
  });

  it("who began an upload: may list and abort it without more; another may not", async () => {
    const bucket = await world.bucket();
    await may(bucket, "s3:PutObject");
    const upload = await world.send(bucket, "k", { method: "POST", query: "uploads", as: user });
    const query = `uploadId=${texts(upload.xml(), "UploadId")[0]}`;
    const other = world.user(allow("s3:PutObject", arn(bucket, "*")));
    for (const method of ["GET", "DELETE"]) {
      expect(outcome(await world.send(bucket, "k", { method, query, as: other }))).toBe(DENIED);
    }
    expect(await as(bucket, "k", { query })).toBe("200");
    expect(await as(bucket, "k", { method: "DELETE", query })).toBe("204");
  });
});
