import { existsSync, lstatSync, statSync } from "node:fs";
import { createConnection } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type AdminWorld, startAdminWorld } from "./s3-admin-world.js";

let world: AdminWorld;
beforeAll(async () => {
  world = await startAdminWorld();
});
afterAll(() => world?.close());

const refused = { status: 401, body: { code: "unauthenticated", message: expect.stringContaining("token") } };

describe("class of hole: admin without authentication", () => {
  const routes = [
    ["GET", "/v1/users"],
    ["POST", "/v1/users"],
    ["GET", "/v1/users/alice"],
    ["PATCH", "/v1/users/alice"],
    ["DELETE", "/v1/users/alice"],
    ["GET", "/v1/users/alice/keys"],
    ["POST", "/v1/users/alice/keys"],
    ["POST", "/v1/users/alice/keys/K/rotate"],
    ["PATCH", "/v1/users/alice/keys/K"],
    ["DELETE", "/v1/users/alice/keys/K"],
    ["GET", "/v1/users/alice/policies"],
    ["PUT", "/v1/users/alice/policies/p"],
    ["DELETE", "/v1/users/alice/policies/p"],
    ["GET", "/v1/buckets"],
    ["POST", "/v1/buckets"],
    ["GET", "/v1/buckets/b"],
    ["PATCH", "/v1/buckets/b"],
    ["DELETE", "/v1/buckets/b"],
    ["POST", "/v1/scrub"],
    ["GET", "/no/such/route"],
    ["OPTIONS", "/v1/users"],
  ] as const;

  it.each(routes)("%s %s: without a token nothing is answered, not even whether it exists", async (method, path) => {
    for (const token of [null, "", "wrong", `${world.token()}x`, world.token().slice(1)])
      expect(await world.send(method, path, { token, body: {} })).toMatchObject(refused);
  });

  it("the token in another scheme, in the query or as a password: refused", async () => {
    const token = world.token();
    const attempts = [
      { authorization: token },
      { authorization: `Basic ${Buffer.from(`root:${token}`).toString("base64")}` },
      { authorization: `bearer ${token}` },
      { authorization: `Bearer  ${token}` },
      { "x-admin-token": token },
    ];
    for (const headers of attempts)
      expect(await world.send("GET", "/v1/users", { token: null, headers: headers as never })).toMatchObject(refused);
    expect(await world.send("GET", `/v1/users?token=${token}`, { token: null })).toMatchObject(refused);
  });

  it("the token of an earlier start: refused, since each start makes its own", async () => {
    const earlier = world.token();
    await world.restart();
    expect(world.token()).not.toBe(earlier);
    expect(await world.send("GET", "/v1/users", { token: earlier })).toMatchObject(refused);
    expect(await world.send("GET", "/v1/users")).toMatchObject({ status: 200, body: [] });
  });

  it("socket and token are their owner's alone", () => {
    expect(lstatSync(world.socketPath).isSocket()).toBe(true);
    expect(statSync(world.socketPath).mode & 0o777).toBe(0o600);
    expect(statSync(world.tokenFile).mode & 0o777).toBe(0o600);
    expect(statSync(`${world.dataDir}/objects`).mode & 0o077).toBe(0);
    expect(world.token()).toMatch(/^[A-Za-z0-9_-]{43}$/);
  });

  it("refused requests change nothing, even when their body asks for much", async () => {
    const body = { name: "intruder", policies: [{ name: "admin", document: "{}" }] };
    expect(await world.send("POST", "/v1/users", { token: "wrong", body })).toMatchObject(refused);
    expect((await world.send("GET", "/v1/users")).body).toEqual([]);
  });
});

describe("requests of the admin API", () => {
  it.each([
    ["GET", "/", 404, "not-found"],
    ["GET", "/v1/user", 404, "not-found"],
    ["GET", "/v1/users/", 404, "not-found"],
    ["GET", "/v1/users/a/b/c/d", 404, "not-found"],
    ["PUT", "/v1/users", 501, "unimplemented"],
    ["GET", "/v1/users/%zz", 400, "invalid-argument"],
    ["GET", "/v1/users/%ff", 400, "invalid-argument"],
  ] as const)("%s %s: %d %s", async (method, path, status, code) => {
    expect(await world.send(method, path)).toMatchObject({ status, body: { code } });
  });

  it.each([
    ["no JSON", "{", /not JSON/],
    ["a list", "[]", /expected object/],
    ["null", "null", /name/],
    ["an unknown field", '{"name":"a","root":true}', /root/],
    ["a number for a name", '{"name":1}', /^name: /],
    ["__proto__", '{"name":"a","__proto__":{"id":"root"}}', /__proto__/],
  ])("a body that is %s: 400, naming the field", async (_what, raw, expected) => {
    const answer = await world.send("POST", "/v1/users", { raw });
    expect(answer).toMatchObject({ status: 400, body: { code: "invalid-argument" } });
    expect((answer.body as { message: string }).message).toMatch(expected);
  });

  it("a body over the bound is refused before it is held, declared or not", async () => {
    const raw = Buffer.alloc(4 * 1024 ** 2, " ");
    for (const headers of [{}, { "transfer-encoding": "chunked" }] as Record<string, string>[]) {
      const answer = await world.send("POST", "/v1/users", { raw, headers }).catch((error: { code?: string }) => error);
      // What was not read of it may end the connection under the client's hands.
      if ("status" in answer) expect(answer).toMatchObject({ status: 400, body: { code: "invalid-argument" } });
      else expect(["EPIPE", "ECONNRESET"]).toContain(answer.code);
    }
    expect((await world.send("GET", "/v1/users")).status).toBe(200);
  });

  it("a client that goes in the middle of its request leaves the server as it was", async () => {
    const socket = createConnection(world.socketPath);
    await new Promise<void>((resolve) => socket.once("connect", resolve));
    socket.write(
      `POST /v1/users HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${world.token()}\r\ncontent-length: 100\r\n\r\n{`,
    );
    socket.destroy();
    expect((await world.send("GET", "/v1/users")).body).toEqual([]);
  });

  it("what fails inside is told by its request's id alone; the log has the rest", async () => {
    // A record that no request can make.
    await world.engine.createBucket(world.context(), {
      ...{ name: "broken-inside", ownerId: "root", region: "us-east-1", objectLock: false, durability: "strict" },
      ...{ quotaBytes: null, quotaObjects: null, config: null as never },
    });
    const answer = await world.send("GET", "/v1/buckets");
    expect(answer).toMatchObject({ status: 500, body: { code: "internal" } });
    expect(answer.text).not.toMatch(/convert|TypeError/);
    const id = /request ([0-9a-f]{16})/.exec(answer.text)?.[1] ?? "";
    const line = world
      .log()
      .split("\n")
      .find((text) => text.includes(`"requestId":"${id}"`) && text.includes('"err"'));
    expect(line).toMatch(/TypeError: Cannot convert undefined or null to object/);
    expect((await world.send("DELETE", "/v1/buckets/broken-inside")).status).toBe(200);
  });

  it("close: the token goes, the socket answers no more, and a second close is fine", async () => {
    const own = await startAdminWorld();
    await own.closeAdmin();
    expect(existsSync(own.tokenFile)).toBe(false);
    await expect(own.send("GET", "/v1/users", { token: "any" })).rejects.toMatchObject({
      code: expect.stringMatching(/ENOENT|ECONNREFUSED/),
    });
    await own.close();
  });
});
