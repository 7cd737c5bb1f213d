import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CANNED_POLICIES, CANNED_POLICY_NAMES } from "../../objectstore/admin/canned-policies.js";
import { type AdminWorld, startAdminWorld } from "./s3-admin-world.js";

let world: AdminWorld;
beforeAll(async () => {
  world = await startAdminWorld();
});
afterAll(() => world?.close());

const create = (body: object) => world.send("POST", "/v1/users", { body });
const show = async (name: string) => (await world.send("GET", `/v1/users/${name}`)).body as Record<string, unknown>;
const POLICY = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: "s3:GetObject", Resource: "arn:aws:s3:::photos/*" }],
});

interface Created {
  id: string;
  key: { accessKey: string; secretKey: string };
}

describe("user create", () => {
  it("with a name alone: a random id, key and secret of Amazon's shapes", async () => {
    const answer = await create({ name: "alice" });
    expect(answer).toMatchObject({
      status: 200,
      body: { name: "alice", displayName: "alice", email: "", disabled: false, policies: [] },
    });
    const { id, key } = answer.body as Created;
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(key.accessKey).toMatch(/^[A-Z0-9]{20}$/);
    expect(key.secretKey).toMatch(/^[A-Za-z0-9]{40}$/);
    expect(world.engine.identities.byAccessKey(key.accessKey)?.key.secret).toBe(key.secretKey);
  });

  it("with all that can be said of it", async () => {
    const wanted = {
      ...{ name: "bob@example.com", id: "testx$bob", displayName: "Bob Ünïcödé", email: "bob@example.com" },
      ...{ accessKey: "BOBSKEY", secretKey: "bobs-own-secret/+=" },
    };
    const policies = [{ name: "photos", document: POLICY }];
    expect(await create({ ...wanted, policies })).toMatchObject({
      status: 200,
      body: { name: wanted.name, id: wanted.id, displayName: wanted.displayName, email: wanted.email },
    });
    expect(world.engine.identities.byEmail("bob@example.com")?.name).toBe("bob@example.com");
    expect(await show("bob@example.com")).toMatchObject({
      keys: [{ accessKey: "BOBSKEY", disabled: false }],
      policies: [{ name: "photos", document: JSON.parse(POLICY) as unknown }],
    });
  });

  it.each([
    ["the name", { name: "alice" }],
    ["the id", { name: "other", id: "testx$bob" }],
    ["the email", { name: "other", email: "bob@example.com" }],
    ["the access key", { name: "other", accessKey: "BOBSKEY" }],
    ["the root user's name", { name: "root" }],
    ["the root user's id", { name: "other", id: "root" }],
    ["the root user's access key", { name: "other", accessKey: "ROOTKEY" }],
    ["the id of unsigned requests in ACLs", { name: "other", id: "65a011a29cdf8ec533ec3d1ccaae921c" }],
    ["the name of unsigned requests' id in ACLs", { name: "65a011a29cdf8ec533ec3d1ccaae921c" }],
    ["the id of unsigned requests in policies", { name: "other", id: "anonymous" }],
  ])("%s is taken: refused, and nothing is made", async (_what, body) => {
    expect(await create(body)).toMatchObject({ status: 409, body: { code: "already-exists" } });
    expect((await world.send("GET", "/v1/users/other")).status).toBe(404);
  });

  it.each([
    [{ name: "" }, /^name: 1 to 64/],
    [{ name: "a b" }, /^name: 1 to 64/],
    [{ name: "a/b" }, /^name: 1 to 64/],
    [{ name: "n".repeat(65) }, /^name: 1 to 64/],
    [{ name: "x", id: "with space" }, /^id: /],
    [{ name: "x", displayName: "a\nb" }, /^displayName: /],
    [{ name: "x", email: "nobody" }, /^email: must be an address/],
    [{ name: "x", accessKey: "ab" }, /accessKey: an access key has 3 to 128/],
    [{ name: "x", accessKey: "a/b" }, /accessKey: .*only letters/],
    [{ name: "x", secretKey: "hunter2" }, /secretKey: a secret key has 8 to 128 characters, not 7/],
    [{ name: "x", policies: [{ name: "p", document: "{" }] }, /policy p/],
    [{ name: "x", policies: [{ name: "a b", document: POLICY }] }, /policy "a b"/],
    [{ name: "x", policies: [1, 2].map(() => ({ name: "p", document: POLICY })) }, /"p" comes twice/],
  ])("%j: refused, naming the field", async (body, expected) => {
    const answer = await create(body);
    expect(answer).toMatchObject({ status: 400, body: { code: "invalid-argument" } });
    expect((answer.body as { message: string }).message).toMatch(expected);
    expect(answer.text).not.toContain("hunter2");
  });

  it("a user that is not there: not found, with the name that was most likely meant", async () => {
    expect(await show("alcie")).toEqual({
      code: "not-found",
      message: 'there is no user "alcie"; did you mean "alice"?',
    });
    expect(await show("somebody-else")).toEqual({ code: "not-found", message: 'there is no user "somebody-else"' });
    expect((await show("root")).message).toContain("root-credentials.json");
  });
});

describe("user keys", () => {
  const keys = async (name: string) => ((await show(name)).keys as { accessKey: string }[]).map((key) => key.accessKey);

  it("create adds one, rotate puts one in the place of another, delete takes one", async () => {
    const first = ((await create({ name: "keyed" })).body as Created).key.accessKey;
    const second = ((await world.send("POST", "/v1/users/keyed/keys", { body: {} })).body as Created["key"]).accessKey;
    expect((await keys("keyed")).sort()).toEqual([first, second].sort());
    const rotated = await world.send("POST", `/v1/users/keyed/keys/${first}/rotate`, { body: {} });
    const third = (rotated.body as Created["key"]).accessKey;
    expect((await keys("keyed")).sort()).toEqual([second, third].sort());
    expect(world.engine.identities.byAccessKey(first)).toBeUndefined();
    expect(world.engine.identities.byAccessKey(third)?.user.name).toBe("keyed");
    await world.send("DELETE", `/v1/users/keyed/keys/${second}`);
    expect(await keys("keyed")).toEqual([third]);
    expect(world.engine.identities.byAccessKey(second)).toBeUndefined();
  });

  it("disable and enable one key, the others stay as they are", async () => {
    const { accessKey } = ((await create({ name: "paused" })).body as Created).key;
    await world.send("POST", "/v1/users/paused/keys", { body: { accessKey: "OTHERKEY" } });
    await world.send("PATCH", `/v1/users/paused/keys/${accessKey}`, { body: { disabled: true } });
    expect(world.engine.identities.byAccessKey(accessKey)?.key.disabled).toBe(true);
    expect(world.engine.identities.byAccessKey("OTHERKEY")?.key.disabled).toBe(false);
    await world.send("PATCH", `/v1/users/paused/keys/${accessKey}`, { body: { disabled: false } });
    expect(world.engine.identities.byAccessKey(accessKey)?.key.disabled).toBe(false);
  });

  it("a key that another user has, or nobody, or the root user: refused", async () => {
    await create({ name: "greedy" });
    for (const accessKey of ["BOBSKEY", "ROOTKEY"])
      expect(await world.send("POST", "/v1/users/greedy/keys", { body: { accessKey } })).toMatchObject({ status: 409 });
    expect(await world.send("DELETE", "/v1/users/greedy/keys/BOBSKEY")).toMatchObject({ status: 404 });
    expect(await world.send("POST", "/v1/users/greedy/keys/BOBSKEY/rotate", { body: {} })).toMatchObject({
      status: 404,
    });
    expect(world.engine.identities.byAccessKey("BOBSKEY")?.user.name).toBe("bob@example.com");
  });
});

describe("user policies", () => {
  it("attached under a name, replaced under the same one, detached", async () => {
    await create({ name: "worker" });
    const put = (name: string, document: string) =>
      world.send("PUT", `/v1/users/worker/policies/${name}`, { body: { document } });
    expect((await put("a", POLICY)).status).toBe(200);
    expect((await put("b", JSON.stringify(CANNED_POLICIES.readonly))).status).toBe(200);
    expect((await put("a", JSON.stringify(CANNED_POLICIES.admin))).body).toEqual([
      { name: "a", document: CANNED_POLICIES.admin },
      { name: "b", document: CANNED_POLICIES.readonly },
    ]);
    expect((await world.send("DELETE", "/v1/users/worker/policies/a")).body).toMatchObject([{ name: "b" }]);
    expect(await world.send("DELETE", "/v1/users/worker/policies/bb")).toMatchObject({
      status: 404,
      body: { message: expect.stringContaining('did you mean "b"?') },
    });
  });

  it.each([
    ["no JSON", "{"],
    ["no statement", '{"Version":"2012-10-17"}'],
    ["an unknown effect", POLICY.replace("Allow", "Maybe")],
    ["a principal, which a user's policy has none of", POLICY.replace('"Effect"', '"Principal":"*","Effect"')],
    ["more than 20 KiB", POLICY.replace("photos/*", `${"p".repeat(21_000)}/*`)],
  ])("%s: refused, and what was attached stays", async (_what, document) => {
    const before = await show("worker");
    expect(await world.send("PUT", "/v1/users/worker/policies/b", { body: { document } })).toMatchObject({
      status: 400,
      body: { code: "invalid-argument" },
    });
    expect(await show("worker")).toEqual(before);
  });

  it("every canned policy can be attached", async () => {
    await create({ name: "canned" });
    for (const name of CANNED_POLICY_NAMES) {
      const document = JSON.stringify(CANNED_POLICIES[name]);
      expect((await world.send("PUT", `/v1/users/canned/policies/${name}`, { body: { document } })).status).toBe(200);
    }
    expect(((await show("canned")).policies as { name: string }[]).map(({ name }) => name)).toEqual(
      [...CANNED_POLICY_NAMES].sort(),
    );
  });

  it("20 of them, and no more", async () => {
    await create({ name: "collector" });
    const put = (name: string) =>
      world.send("PUT", `/v1/users/collector/policies/${name}`, { body: { document: POLICY } });
    for (let i = 0; i < 20; i++) expect((await put(`p${i}`)).status).toBe(200);
    expect(await put("p20")).toMatchObject({ status: 400 });
    expect((await put("p7")).status).toBe(200);
  });
});

describe("user disable, change, delete", () => {
  it("disable and enable", async () => {
    const { accessKey } = ((await create({ name: "carol" })).body as Created).key;
    await world.send("PATCH", "/v1/users/carol", { body: { disabled: true } });
    expect(world.engine.identities.byAccessKey(accessKey)?.user.disabled).toBe(true);
    expect(await show("carol")).toMatchObject({ disabled: true });
    await world.send("PATCH", "/v1/users/carol", {
      body: { disabled: false, displayName: "C", email: "c@example.com" },
    });
    expect(await show("carol")).toMatchObject({ disabled: false, displayName: "C", email: "c@example.com" });
    expect(await world.send("PATCH", "/v1/users/carol", { body: {} })).toMatchObject({ status: 400 });
    expect(await world.send("PATCH", "/v1/users/carol", { body: { id: "x" } })).toMatchObject({ status: 400 });
  });

  it("delete: the keys are nobody's, and the name is free again; one that owns a bucket stays", async () => {
    const { key, id } = (await create({ name: "dave" })).body as Created;
    await world.send("POST", "/v1/buckets", { body: { name: "daves-bucket", owner: "dave" } });
    expect(await world.send("DELETE", "/v1/users/dave")).toMatchObject({
      status: 409,
      body: { code: "failed-precondition" },
    });
    await world.send("DELETE", "/v1/buckets/daves-bucket");
    expect((await world.send("DELETE", "/v1/users/dave")).status).toBe(200);
    expect(world.engine.identities.byAccessKey(key.accessKey)).toBeUndefined();
    expect((await world.send("GET", "/v1/users/dave")).status).toBe(404);
    const again = (await create({ name: "dave" })).body as Created;
    expect(again.id).not.toBe(id);
  });
});

describe("class of hole: secrets in logs and answers", () => {
  it("a secret is in the answer that made it, and in no other answer and no log line", async () => {
    const made = await create({ name: "secretive", secretKey: "hunter2-of-create" });
    expect(made.text).toContain("hunter2-of-create");
    const second = await world.send("POST", "/v1/users/secretive/keys", {
      body: { accessKey: "SECONDKEY", secretKey: "hunter2-of-create-key" },
    });
    expect(second.text).toContain("hunter2-of-create-key");
    const third = await world.send("POST", "/v1/users/secretive/keys/SECONDKEY/rotate", {
      body: { secretKey: "hunter2-of-rotate" },
    });
    expect(third.text).toContain("hunter2-of-rotate");
    const answers = [
      await world.send("GET", "/v1/users"),
      await world.send("GET", "/v1/users/secretive"),
      await world.send("GET", "/v1/users/secretive/keys"),
      await world.send("GET", "/v1/users/secretive/policies"),
      await world.send("PATCH", "/v1/users/secretive", { body: { disabled: true } }),
      await world.send("PATCH", `/v1/users/secretive/keys/${(third.body as Created["key"]).accessKey}`, {
        body: { disabled: true },
      }),
      await world.send("PUT", "/v1/users/secretive/policies/p", { body: { document: POLICY } }),
    ];
    for (const { status, text } of answers) {
      expect(status).toBe(200);
      expect(text).not.toContain("hunter2");
      expect(text).not.toContain("secretKey");
    }
    expect(world.log()).toContain("/v1/users/secretive");
    for (const secret of ["hunter2", world.token()]) expect(world.log()).not.toContain(secret);
  });
});
