import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ListBucketsCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { granary, plainRequest, type S3Server, type S3ServerOptions, startS3 } from "./harness.js";
import { type KeyPair, sdkClient } from "./sdk-clients.js";

let server: S3Server;
/** Servers of single tests: they go too where a test failed before it removed them. */
let others: S3Server[] = [];
beforeAll(async () => {
  server = await startS3();
});
afterEach(async () => {
  for (const one of others.reverse()) await one.remove();
  others = [];
});
afterAll(() => server?.remove());

async function startOther(options: S3ServerOptions = {}): Promise<S3Server> {
  const started = await startS3(options);
  others.push(started);
  return started;
}

const cli = (...words: string[]) => server.granary(...words);
/** For a command that must succeed. @returns its stdout */
const ok = (...words: string[]) => {
  const { code, stdout, stderr } = cli(...words);
  expect([words, code, code === 0 ? "" : stderr]).toEqual([words, 0, ""]);
  return stdout;
};
const json = <T>(...words: string[]) => JSON.parse(ok(...words, "-o", "json")) as T;
const refusal = (...words: string[]) => {
  const { code, stdout, stderr } = cli(...words);
  expect([words, code, stdout]).toEqual([words, 1, ""]);
  expect(stderr).not.toMatch(/^\s+at /m);
  return stderr;
};
const works = async (keys: KeyPair) => {
  const sdk = sdkClient(server, keys);
  try {
    await sdk.send(new ListBucketsCommand());
    return "yes";
  } catch (error) {
    return (error as Error).name;
  } finally {
    sdk.destroy();
  }
};

describe("granary user", () => {
  it("create prints key and secret once, in every format, and both work at once", async () => {
    const table = ok("user", "create", "alice");
    const [, id, accessKey, secretKey] =
      /^user +alice\nid +([0-9a-f]{64})\naccess key +([A-Z0-9]{20})\nsecret key +([A-Za-z0-9]{40})\n$/.exec(table) ??
      [];
    expect(await works({ accessKey: accessKey ?? "", secretKey: secretKey ?? "" })).toBe("yes");
    const bob = json<KeyPair & { id: string }>("user", "create", "bob", "--email", "bob@example.com");
    expect(await works(bob)).toBe("yes");
    const carol = parse(ok("user", "create", "carol", "--id", "carols-id", "-o", "yaml")) as KeyPair & { id: string };
    expect(carol.id).toBe("carols-id");
    expect(await works(carol)).toBe("yes");
    for (const shown of [ok("user", "show", "alice"), ok("user", "list"), ok("user", "show", "alice", "-o", "yaml")]) {
      expect(shown).toContain("alice");
      expect(shown).not.toContain(secretKey);
    }
    expect(ok("user", "show", "alice")).toMatch(new RegExp(`id +${id}[\\s\\S]*access keys +${accessKey}`));
  });

  it("create with keys of one's own, the secret from stdin too", async () => {
    ok("user", "create", "own", "--access-key", "OWNKEY", "--secret-key", "owns-secret-key");
    expect(await works({ accessKey: "OWNKEY", secretKey: "owns-secret-key" })).toBe("yes");
    const words = ["user", "create", "piped", "--access-key", "PIPEDKEY", "--secret-key", "-"];
    expect(granary([...words, "--data-dir", server.dataDir], {}, "a-piped-secret\n").code).toBe(0);
    expect(await works({ accessKey: "PIPEDKEY", secretKey: "a-piped-secret" })).toBe("yes");
  });

  it("disable, enable, delete", async () => {
    const keys = json<KeyPair>("user", "create", "dave");
    expect(ok("user", "disable", "dave")).toBe("user dave disabled\n");
    expect(await works(keys)).toBe("InvalidAccessKeyId");
    expect(ok("user", "list")).toMatch(/^dave +disabled/m);
    ok("user", "enable", "dave");
    expect(await works(keys)).toBe("yes");
    ok("bucket", "create", "daves", "--owner", "dave");
    expect(refusal("user", "delete", "dave")).toMatch(/bucket/);
    ok("bucket", "delete", "daves");
    expect(ok("user", "delete", "dave")).toBe("user dave deleted\n");
    expect(await works(keys)).toBe("InvalidAccessKeyId");
  });

  it("key create, rotate, disable, delete, list", async () => {
    const first = json<KeyPair>("user", "create", "erin");
    const rotated = json<KeyPair>("user", "key", "rotate", "erin");
    expect([await works(first), await works(rotated)]).toEqual(["InvalidAccessKeyId", "yes"]);
    const second = json<KeyPair>("user", "key", "create", "erin");
    expect([await works(rotated), await works(second)]).toEqual(["yes", "yes"]);
    expect(refusal("user", "key", "rotate", "erin")).toMatch(/several access keys; say which one goes/);
    ok("user", "key", "disable", "erin", second.accessKey);
    expect(await works(second)).toBe("InvalidAccessKeyId");
    expect(ok("user", "key", "list", "erin")).toMatch(new RegExp(`^${second.accessKey} +disabled`, "m"));
    ok("user", "key", "enable", "erin", second.accessKey);
    expect(await works(second)).toBe("yes");
    ok("user", "key", "delete", "erin", second.accessKey);
    expect(await works(second)).toBe("InvalidAccessKeyId");
  });

  it("policy attach, list, detach: by name and from a file; what they allow holds at once", async () => {
    ok("bucket", "create", "policies");
    const frank = json<KeyPair>("user", "create", "frank");
    const put = async () => {
      const sdk = sdkClient(server, frank);
      return sdk.send(new PutObjectCommand({ Bucket: "policies", Key: "k", Body: "1" })).then(
        () => "yes",
        (error: Error) => error.name,
      );
    };
    expect(await put()).toBe("AccessDenied");
    const file = join(server.dir, "team one.json");
    const statement = { Effect: "Allow", Action: "s3:PutObject", Resource: "arn:aws:s3:::policies/*" };
    writeFileSync(file, JSON.stringify({ Version: "2012-10-17", Statement: [statement] }));
    expect(ok("user", "policy", "attach", "frank", file)).toBe("policy team-one attached to user frank\n");
    expect(await put()).toBe("yes");
    ok("user", "policy", "attach", "frank", "readonly", "--as", "reader");
    expect(ok("user", "policy", "list", "frank")).toBe("reader\nteam-one\n");
    expect(json("user", "policy", "list", "frank")).toMatchObject([
      { name: "reader" },
      { document: { Statement: [statement] } },
    ]);
    ok("user", "policy", "detach", "frank", "team-one");
    expect(await put()).toBe("AccessDenied");
  });

  it("errors say what is wrong and what was meant", () => {
    expect(refusal("user", "show", "alcie")).toBe('granary: there is no user "alcie"; did you mean "alice"?\n');
    expect(refusal("user", "create", "alice")).toMatch(/alice/);
    expect(refusal("user", "create", "a b")).toMatch(/name: 1 to 64 letters/);
    expect(refusal("user", "create", "x", "--secret-key", "hunter2")).toMatch(/8 to 128 characters, not 7/);
    expect(refusal("user", "policy", "attach", "alice", "readonyl")).toMatch(/no such file.*did you mean "readonly"\?/);
    expect(refusal("user", "list", "-o", "xml")).toMatch(/"xml" is none of table, json, yaml/);
    const broken = join(server.dir, "broken.json");
    writeFileSync(broken, '{"Version":"2012-10-17","Statement":[{"Effect":"Maybe"}]}');
    expect(refusal("user", "policy", "attach", "alice", broken)).toMatch(/policy broken: /);
  });
});

describe("granary bucket", () => {
  it("create, list, show, set, delete", () => {
    expect(ok("bucket", "create", "photos", "--owner", "alice", "--quota", "10Gi", "--object-quota", "1000")).toBe(
      "bucket photos created, of alice\n",
    );
    expect(ok("bucket", "list")).toMatch(/^photos +alice +0 +0 B +10 GiB, 1000 objects +off +off +strict +\d{4}-/m);
    expect(ok("bucket", "set", "photos", "--quota", "none", "--durability", "relaxed", "--versioning", "enabled")).toBe(
      "bucket photos changed\n",
    );
    expect(json("bucket", "show", "photos")).toMatchObject({
      ...{ name: "photos", owner: "alice", quotaBytes: null, quotaObjects: 1000 },
      ...{ durability: "relaxed", versioning: "enabled" },
    });
    expect(ok("bucket", "show", "photos")).toMatch(/durability +relaxed/);
    ok("bucket", "create", "ledger", "--object-lock");
    expect(json("bucket", "show", "ledger")).toMatchObject({ objectLock: true, versioning: "enabled", owner: "root" });
    expect(ok("bucket", "delete", "photos", "ledger")).toBe("bucket photos deleted\nbucket ledger deleted\n");
    expect(json<{ name: string }[]>("bucket", "list").map(({ name }) => name)).not.toContain("photos");
  });

  it("a quota holds for clients", async () => {
    ok("bucket", "create", "narrow", "--quota", "1Ki");
    const sdk = sdkClient(server);
    const put = (Key: string, bytes: number) =>
      sdk.send(new PutObjectCommand({ Bucket: "narrow", Key, Body: Buffer.alloc(bytes) }));
    await put("fits", 1000);
    await expect(put("too-much", 100)).rejects.toMatchObject({ name: "QuotaExceeded" });
    ok("bucket", "set", "narrow", "--quota", "2Ki");
    await put("fits-now", 100);
    expect(json("bucket", "show", "narrow")).toMatchObject({ usage: { objects: 2, bytes: 1100 } });
    sdk.destroy();
  });

  it("errors say what is wrong and what was meant", () => {
    ok("bucket", "create", "meant");
    expect(refusal("bucket", "show", "maent")).toBe('granary: there is no bucket "maent"; did you mean "meant"?\n');
    expect(refusal("bucket", "create", "meant")).toMatch(/meant/);
    expect(refusal("bucket", "create", "Upper_Case")).toMatch(/bucket name "Upper_Case": /);
    expect(refusal("bucket", "create", "fine", "--quota", "ten")).toMatch(/--quota: "ten" is not a size/);
    expect(refusal("bucket", "create", "fine", "--durability", "maybe")).toMatch(/--durability: "maybe" is not strict/);
    expect(refusal("bucket", "create", "fine", "--owner", "alcie")).toMatch(/did you mean "alice"/);
    expect(refusal("bucket", "set", "meant")).toMatch(/say what to set: --quota/);
    expect(refusal("bucket", "set", "meant", "--object-quota", "1.5")).toMatch(/--object-quota/);
  });
});

describe("granary object scrub", () => {
  const bodies = () =>
    readdirSync(join(server.dataDir, "objects"), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !/mdb|lock|sock|json|token/.test(entry.name))
      .map(({ parentPath, name }) => join(parentPath, name))
      .filter((path) => statSync(path).size >= 3_000_000);

  it("rereads all, says so, and finds damage on the disk: exit code 1, with bucket and key", async () => {
    ok("bucket", "create", "scrubbed");
    const sdk = sdkClient(server);
    await sdk.send(new PutObjectCommand({ Bucket: "scrubbed", Key: "whole", Body: "whole" }));
    await sdk.send(
      new PutObjectCommand({ Bucket: "scrubbed", Key: "a large one", Body: Buffer.alloc(3_000_000, "x") }),
    );
    sdk.destroy();
    expect(ok("object", "scrub", "--bucket", "scrubbed")).toBe("2 objects, 2.9 MiB verified: no damage\n");
    expect(json("object", "scrub")).toMatchObject({ damaged: [] });
    const [file] = bodies();
    const data = readFileSync(file ?? "");
    data[1_500_000] = (data[1_500_000] ?? 0) ^ 1;
    writeFileSync(file ?? "", data);
    const { code, stdout } = cli("object", "scrub", "--bucket", "scrubbed");
    expect([code, stdout]).toEqual([
      1,
      expect.stringMatching(/^scrubbed +a large one +null +\S+[\s\S]*: 1 damaged\n$/m),
    ]);
    expect(cli("object", "scrub", "-o", "json").code).toBe(1);
    expect(refusal("object", "scrub", "--bucket", "scrubed")).toMatch(/did you mean "scrubbed"/);
  });
});

describe("without a running server", () => {
  it.each([
    ["user", "list"],
    ["user", "create", "alice"],
    ["bucket", "list"],
    ["object", "scrub"],
  ])("granary %s %s: says what to start, and opens no file", (...words) => {
    const dataDir = mkdtempSync(join(tmpdir(), "granary-none-"));
    const { code, stderr } = granary([...words, "--data-dir", dataDir]);
    expect([code, stderr]).toEqual([
      1,
      `granary: no granary object store runs on ${dataDir}; start one with: granary objectstore --data-dir ${dataDir}\n`,
    ]);
    expect(readdirSync(dataDir)).toEqual([]);
    rmSync(dataDir, { recursive: true });
  });

  it("after a SIGKILL of the server: says that none runs", async () => {
    const own = await startOther();
    await own.kill();
    expect(existsSync(join(own.dataDir, "objectstore.json"))).toBe(true);
    expect(own.granary("user", "list")).toMatchObject({ code: 1, stderr: expect.stringContaining("start one with") });
  });
});

describe("class of hole: default or derived secrets", () => {
  const unset = { GRANARY_ROOT_ACCESS_KEY: "", GRANARY_ROOT_SECRET_KEY: "" };

  it("first start without credentials: a random root pair in a 0600 file, told where, that stays and works", async () => {
    const own = await startOther({ env: unset });
    const file = join(own.dataDir, "objects/root-credentials.json");
    const text = readFileSync(file, "utf8");
    const keys = JSON.parse(text) as KeyPair;
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(own.log()).toContain(file);
    expect(own.log()).not.toContain(keys.secretKey);
    const client = sdkClient({ ...own, ...keys });
    await client.send(new ListBucketsCommand());
    client.destroy();
    await own.stop();
    await startOther({ dataDir: own.dataDir, env: unset });
    expect(readFileSync(file, "utf8")).toBe(text);
  });

  it("the key pairs that other servers come with, and none at all: refused", async () => {
    for (const [accessKey, secretKey] of [
      ["minioadmin", "minioadmin"],
      ["admin", "password"],
      ["root", "root-secret"],
      [server.accessKey, server.accessKey],
    ])
      expect(await works({ accessKey: accessKey ?? "", secretKey: secretKey ?? "" })).toMatch(
        /InvalidAccessKeyId|SignatureDoesNotMatch/,
      );
    expect((await plainRequest(server, "/")).status).toBe(403);
  });

  it("one of the pair without the other, or a short secret: the server does not start, and says why", () => {
    for (const [env, expected] of [
      [{ GRANARY_ROOT_ACCESS_KEY: "root" }, /rootSecretKey .* is missing/],
      [{ GRANARY_ROOT_ACCESS_KEY: "root", GRANARY_ROOT_SECRET_KEY: "hunter2" }, /rootSecretKey .*8 to 128 characters/],
    ] as const) {
      const { code, stderr } = granary(["objectstore", "--data-dir", join(server.dir, "never")], env);
      expect([code, stderr]).toEqual([1, expect.stringMatching(expected)]);
      expect(stderr).not.toContain("hunter2");
    }
    expect(existsSync(join(server.dir, "never"))).toBe(false);
  });
});

describe("class of hole: metrics or admin without authentication", () => {
  it("S3's port gives neither: no path of it is an admin route, metrics or a health page", async () => {
    for (const path of [
      "/metrics",
      "/healthz",
      "/v1/users",
      "/v1/buckets",
      "/admin",
      "/minio/admin/v3/info",
      "/debug/pprof",
    ]) {
      const { status, body } = await plainRequest(server, path);
      expect([path, status]).toEqual([path, expect.any(Number)]);
      expect([403, 404, 400, 405, 501]).toContain(status);
      expect(body.toString()).not.toMatch(/granary_|process_cpu|"users"|accessKey/);
    }
  });

  it("metrics are on loopback unless configured, tell no key or secret, and change nothing", async () => {
    const own = await startOther({ flags: ["--metrics-address", "127.0.0.1:0"] });
    const address = /metrics on (http:\/\/127\.0\.0\.1:\d+)\/metrics/.exec(own.log())?.[1] ?? "";
    const get = (path: string, method = "GET") =>
      plainRequest({ endpoint: address, caFile: undefined }, path, { method });
    const metrics = (await get("/metrics")).body.toString();
    expect(metrics).toContain("granary_");
    for (const secret of [own.secretKey, own.accessKey]) expect(metrics).not.toContain(secret);
    expect((await get("/v1/users")).status).toBe(404);
    expect((await get("/metrics", "POST")).status).toBe(405);
  });

  it("the admin API is on a socket of its owner's alone, with a token of its owner's alone", () => {
    const objects = join(server.dataDir, "objects");
    expect(statSync(objects).mode & 0o777).toBe(0o700);
    for (const name of ["admin.sock", "admin-token"]) expect(statSync(join(objects, name)).mode & 0o777).toBe(0o600);
    const record = readFileSync(join(server.dataDir, "objectstore.json"), "utf8");
    expect(record).not.toContain(readFileSync(join(objects, "admin-token"), "utf8").trim());
  });
});

describe("class of hole: secrets in logs", () => {
  it("no secret of a user, of root or of the admin API is in the server's log, at its most talkative", async () => {
    const own = await startOther({ flags: ["--log-level", "trace"] });
    const run = (...words: string[]) => own.granary(...words, "-o", "json");
    const made = JSON.parse(run("user", "create", "talker", "--policy", "readwrite").stdout) as KeyPair;
    const more = JSON.parse(run("user", "key", "rotate", "talker").stdout) as KeyPair;
    const client = sdkClient(own, more);
    await client.send(new ListBucketsCommand());
    await sdkClient(own, made)
      .send(new ListBucketsCommand())
      .catch(() => {});
    await plainRequest(own, "/?X-Amz-Signature=0123456789abcdef0123456789abcdef");
    client.destroy();
    const token = readFileSync(join(own.dataDir, "objects/admin-token"), "utf8").trim();
    await own.stop();
    expect(own.log()).toContain("talker");
    for (const secret of [made.secretKey, more.secretKey, own.secretKey, token])
      expect(own.log()).not.toContain(secret);
    expect(own.log()).not.toMatch(/Signature=[0-9a-f]{64}/);
  });
});
