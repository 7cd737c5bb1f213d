import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { RawAnswer } from "./exact-request.js";
import { beginUpload } from "./multipart-world.js";
import { allow, arn, text, texts, useWorld } from "./s3-world.js";

const world = useWorld();
const outcome = ({ status, code }: RawAnswer) => (code === "" ? `${status}` : `${status} ${code}`);
const DAY_MS = 86_400_000;
const later = (days: number) => new Date(Date.now() + days * DAY_MS).toISOString();
const retention = (mode: string, until: string) =>
  `<Retention><Mode>${mode}</Mode><RetainUntilDate>${until}</RetainUntilDate></Retention>`;
const BYPASS = { "x-amz-bypass-governance-retention": "true" };

function lock(mode: "GOVERNANCE" | "COMPLIANCE", until = later(1)): Record<string, string> {
  return { "x-amz-object-lock-mode": mode, "x-amz-object-lock-retain-until-date": until };
}

async function locked(headers: Record<string, string>): Promise<{ bucket: string; version: string }> {
  const bucket = await world.bucket({ lock: true });
  const put = await world.put(bucket, "k", "kept", { ...headers, "content-md5": md5("kept") });
  expect(outcome(put)).toBe("200");
  return { bucket, version: String(put.headers["x-amz-version-id"]) };
}

const remove = (bucket: string, version: string, headers: Record<string, string> = {}) =>
  world.send(bucket, "k", { method: "DELETE", query: `versionId=${version}`, headers });
const change = (bucket: string, query: string, body: string, headers: Record<string, string> = {}) =>
  world.send(bucket, "k", { method: "PUT", query, body, headers });

describe("retention", () => {
  it("put with an object, and told by GET, HEAD and GetObjectRetention", async () => {
    const until = later(1);
    const { bucket, version } = await locked(lock("GOVERNANCE", until));
    for (const method of ["GET", "HEAD"]) {
      const { headers } = await world.send(bucket, "k", { method });
      expect(headers["x-amz-object-lock-mode"]).toBe("GOVERNANCE");
      expect(headers["x-amz-object-lock-retain-until-date"]).toBe(until);
    }
    const told = await world.send(bucket, "k", { query: `retention&versionId=${version}` });
    expect([text(told, "Mode"), text(told, "RetainUntilDate")]).toEqual(["GOVERNANCE", until]);
  });

  it("governance: kept from deletion, until it is bypassed", async () => {
    const { bucket, version } = await locked(lock("GOVERNANCE"));
    expect(outcome(await remove(bucket, version))).toBe("403 AccessDenied");
    expect((await world.get(bucket, "k")).text).toBe("kept");
    expect(outcome(await remove(bucket, version, BYPASS))).toBe("204");
    expect((await world.get(bucket, "k")).status).toBe(404);
  });

  it("compliance: kept from deletion, from shortening and from removal, whoever asks; it may grow", async () => {
    const { bucket, version } = await locked(lock("COMPLIANCE", later(10)));
    expect(outcome(await remove(bucket, version, BYPASS))).toBe("403 AccessDenied");
    for (const body of [retention("COMPLIANCE", later(5)), retention("GOVERNANCE", later(20)), "<Retention/>"]) {
      expect(outcome(await change(bucket, "retention", body, BYPASS))).toBe("403 AccessDenied");
    }
    expect(outcome(await change(bucket, "retention", retention("COMPLIANCE", later(20))))).toBe("200");
  });

  it("governance: shortened and removed only with the bypass", async () => {
    const { bucket, version } = await locked(lock("GOVERNANCE", later(10)));
    const shorter = retention("GOVERNANCE", later(5));
    expect(outcome(await change(bucket, "retention", shorter))).toBe("403 AccessDenied");
    expect(outcome(await change(bucket, "retention", shorter, BYPASS))).toBe("200");
    expect(outcome(await change(bucket, "retention", "<Retention/>", BYPASS))).toBe("200");
    expect(outcome(await world.send(bucket, "k", { query: "retention" }))).toBe("404 NoSuchObjectLockConfiguration");
    expect(outcome(await remove(bucket, version))).toBe("204");
  });

  it("a delete without a version: a marker, and the version stays", async () => {
    const { bucket, version } = await locked(lock("COMPLIANCE"));
    expect(outcome(await world.send(bucket, "k", { method: "DELETE" }))).toBe("204");
    expect((await world.get(bucket, "k", {}, `versionId=${version}`)).text).toBe("kept");
  });

  it("headers that are wrong: InvalidArgument; in a bucket without object lock: InvalidRequest", async () => {
    const bucket = await world.bucket({ lock: true });
    const wrong: Record<string, string>[] = [
      { "x-amz-object-lock-mode": "GOVERNANCE" },
      { "x-amz-object-lock-retain-until-date": later(1) },
      { ...lock("GOVERNANCE"), "x-amz-object-lock-mode": "FOREVER" },
      lock("GOVERNANCE", later(-1)),
      lock("GOVERNANCE", "tomorrow"),
      { "x-amz-object-lock-legal-hold": "MAYBE" },
    ];
    for (const headers of wrong)
      expect(outcome(await world.put(bucket, "k", "x", headers))).toBe("400 InvalidArgument");
    expect((await world.get(bucket, "k")).status).toBe(404);
    const plain = await world.bucket();
    expect(outcome(await world.put(plain, "k", "x", lock("GOVERNANCE")))).toBe("400 InvalidRequest");
    await world.put(plain, "k", "x");
    expect(outcome(await world.send(plain, "k", { query: "retention" }))).toBe("400 InvalidRequest");
    expect(outcome(await world.send(plain, "k", { query: "legal-hold" }))).toBe("400 InvalidRequest");
    expect(outcome(await change(plain, "retention", retention("GOVERNANCE", later(1))))).toBe("400 InvalidRequest");
    const bypassed = await world.send(plain, "k", { method: "DELETE", headers: BYPASS });
    expect(outcome(bypassed)).toBe("400 InvalidArgument");
  });
});

describe("legal hold", () => {
  it("on: kept, whatever is bypassed; off: free again, and told as OFF", async () => {
    const { bucket, version } = await locked({ "x-amz-object-lock-legal-hold": "ON" });
    expect((await world.get(bucket, "k")).headers["x-amz-object-lock-legal-hold"]).toBe("ON");
    expect(outcome(await remove(bucket, version, BYPASS))).toBe("403 AccessDenied");
    expect(outcome(await change(bucket, "legal-hold", "<LegalHold><Status>OFF</Status></LegalHold>"))).toBe("200");
    expect(text(await world.send(bucket, "k", { query: "legal-hold" }), "Status")).toBe("OFF");
    expect(outcome(await remove(bucket, version))).toBe("204");
  });

  it("never set: NoSuchObjectLockConfiguration; a wrong document: MalformedXML", async () => {
    const { bucket } = await locked({});
    expect(outcome(await world.send(bucket, "k", { query: "legal-hold" }))).toBe("404 NoSuchObjectLockConfiguration");
    for (const body of ["<LegalHold/>", "<LegalHold><Status>on</Status></LegalHold>", "", "<Other/>"]) {
      expect(outcome(await change(bucket, "legal-hold", body))).toBe("400 MalformedXML");
    }
  });
});

describe("a body with a lock", () => {
  const md5Of = { "content-md5": md5("x") };
  const crc32 = { "x-amz-checksum-crc32": "jNwWgw==" };

  it.each([
    ["retention", lock("GOVERNANCE")],
    ["a legal hold", { "x-amz-object-lock-legal-hold": "ON" }],
    ["a legal hold that is off", { "x-amz-object-lock-legal-hold": "OFF" }],
  ] as [string, Record<string, string>][])("%s: needs Content-MD5 or a checksum", async (_what, headers) => {
    const bucket = await world.bucket({ lock: true });
    const refused = await world.put(bucket, "k", "x", headers);
    expect([outcome(refused), text(refused, "Message")]).toEqual([
      "400 InvalidRequest",
      "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters",
    ]);
    expect((await world.get(bucket, "k")).status).toBe(404);
    for (const digest of [md5Of, crc32])
      expect(outcome(await world.put(bucket, "k", "x", { ...headers, ...digest }))).toBe("200");
    expect(outcome(await world.put(bucket, "k", "y", { ...headers, ...md5Of }))).toBe("400 BadDigest");
  });

  it("the bucket's default retention alone: needs neither, for clients that do not know of it", async () => {
    const bucket = await world.bucket({ lock: true });
    expect(outcome(await world.put(bucket, "k", "x"))).toBe("200");
  });

  it("a copy, and an upload in parts: has no body that it could be of", async () => {
    const { bucket } = await locked({});
    const copied = await world.put(bucket, "c", "", { "x-amz-copy-source": `/${bucket}/k`, ...lock("GOVERNANCE") });
    expect(outcome(copied)).toBe("200");
    await beginUpload(world, bucket, "p", lock("GOVERNANCE"));
  });
});

describe("object lock failing open", () => {
  async function defaultLocked(): Promise<string> {
    const bucket = await world.bucket({ lock: true });
    const rule = "<Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention></Rule>";
    const body = `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>${rule}</ObjectLockConfiguration>`;
    const set = await world.send(bucket, undefined, {
      ...{ method: "PUT", query: "object-lock", body },
      headers: { "content-md5": md5(body) },
    });
    expect(outcome(set)).toBe("200");
    return bucket;
  }

  it("the bucket's default: on objects put, copied and uploaded in parts", async () => {
    const bucket = await defaultLocked();
    await world.put(bucket, "put", "x");
    await world.put(bucket, "copied", "", { "x-amz-copy-source": `/${bucket}/put` });
    const upload = await beginUpload(world, bucket, "parts");
    const part = await upload.part(1, "x");
    const completedMs = Date.now();
    expect(outcome(await upload.complete({ 1: part }))).toBe("200");
    for (const key of ["put", "copied", "parts"]) {
      const { headers } = await world.get(bucket, key);
      expect([key, headers["x-amz-object-lock-mode"]]).toEqual([key, "COMPLIANCE"]);
      const version = headers["x-amz-version-id"];
      const gone = await world.send(bucket, key, { method: "DELETE", query: `versionId=${version}`, headers: BYPASS });
      expect(outcome(gone)).toBe("403 AccessDenied");
    }
    const until = Date.parse(String((await world.get(bucket, "parts")).headers["x-amz-object-lock-retain-until-date"]));
    expect(until).toBeGreaterThanOrEqual(completedMs + DAY_MS);
  });

  it("a default that is set while an upload is under way: it has it", async () => {
    const bucket = await world.bucket({ lock: true });
    const upload = await beginUpload(world, bucket, "k");
    const part = await upload.part(1, "x");
    const rule = "<Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>3</Days></DefaultRetention></Rule>";
    const body = `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>${rule}</ObjectLockConfiguration>`;
    await world.send(bucket, undefined, {
      ...{ method: "PUT", query: "object-lock", body },
      headers: { "content-md5": md5(body) },
    });
    await upload.complete({ 1: part });
    expect((await world.get(bucket, "k")).headers["x-amz-object-lock-mode"]).toBe("GOVERNANCE");
  });

  it("the bypass header of who may not bypass: the lock holds, in bulk deletes too", async () => {
    const { bucket, version } = await locked(lock("GOVERNANCE"));
    const user = world.user(
      allow(["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectRetention"], arn(bucket, "*")),
    );
    const query = `versionId=${version}`;
    const one = await world.send(bucket, "k", { method: "DELETE", query, headers: BYPASS, as: user });
    expect(outcome(one)).toBe("403 AccessDenied");
    const body = `<Delete><Object><Key>k</Key><VersionId>${version}</VersionId></Object></Delete>`;
    const many = await world.send(bucket, undefined, {
      ...{ method: "POST", query: "delete", body, as: user },
      headers: { ...BYPASS, "content-md5": md5(body) },
    });
    expect(texts(many.xml(), "Error/Code")).toEqual(["AccessDenied"]);
    const shorter = { method: "PUT", query: "retention", body: "<Retention/>", headers: BYPASS, as: user };
    expect(outcome(await world.send(bucket, "k", shorter))).toBe("403 AccessDenied");
    expect((await world.get(bucket, "k")).text).toBe("kept");
  });

  it("a rename of a locked object, or onto one: the locked version stays", async () => {
    const { bucket, version } = await locked(lock("COMPLIANCE"));
    await world.put(bucket, "other", "y");
    const rename = (from: string, to: string) =>
      world.send(bucket, to, { method: "PUT", query: "renameObject", headers: { "x-amz-rename-source": from } });
    await rename("k", "moved");
    await rename("other", "k");
    expect((await world.get(bucket, "k", {}, `versionId=${version}`)).text).toBe("kept");
  });
});

function md5(body: string): string {
  return createHash("md5").update(body).digest("base64");
}
