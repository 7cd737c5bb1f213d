import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { clientProgram } from "./clients.mjs";
import { openUrl, PROTOCOLS, plainRequest, type S3Server, startS3 } from "./harness.js";
import { makeLargeFile, makeOddTree, sha256File, treeOf, writeTreeFile } from "./odd-tree.js";
import { client, scratch } from "./run-client.js";

describe.each(PROTOCOLS)("s3cmd over $protocol", ({ https }) => {
  let server: S3Server;
  const s3cmd = (...args: string[]) =>
    client(clientProgram("s3cmd"), ["-c", join(server.dir, "s3cfg"), "--no-progress", ...args], {
      env: { HOME: server.dir },
    });
  beforeAll(async () => {
    server = await startS3({ https });
    const host = new URL(server.endpoint).host;
    const config = {
      access_key: server.accessKey,
      secret_key: server.secretKey,
      host_base: host,
      // Path style: without %(bucket)s in it.
      host_bucket: host,
      use_https: https ? "True" : "False",
      ca_certs_file: server.caFile ?? "",
      // 2.3.0 calls a function of Python's that 3.12 has no more, in this check alone.
      check_ssl_hostname: "False",
      signurl_use_https: https ? "True" : "False",
      bucket_location: "US",
    };
    const lines = Object.entries(config).map(([key, value]) => `${key} = ${value}`);
    writeFileSync(join(server.dir, "s3cfg"), `[default]\n${lines.join("\n")}\n`);
  });
  afterAll(() => server?.remove());

  it("sync of a tree of odd names, there and back, and nothing to do the second time", async () => {
    const [from, to] = [scratch(server, "from"), scratch(server, "to")];
    makeOddTree(from);
    await s3cmd("mb", "s3://tree");
    await s3cmd("sync", `${from}/`, "s3://tree/a prefix/");
    await s3cmd("sync", "s3://tree/a prefix/", `${to}/`);
    expect(treeOf(to)).toEqual(treeOf(from));
    expect(await s3cmd("sync", `${from}/`, "s3://tree/a prefix/")).not.toMatch(/^upload:/m);
    const listed = await s3cmd("ls", "--recursive", "s3://tree");
    expect(listed.trim().split("\n")).toHaveLength(Object.keys(treeOf(from)).length);
  }, 120_000);

  it("sync --delete-removed removes what is gone; du, del and rb", async () => {
    const from = scratch(server, "from");
    for (const name of ["keep", "go", "folder/go too"]) writeTreeFile(from, name, name);
    await s3cmd("mb", "s3://mirror");
    await s3cmd("sync", `${from}/`, "s3://mirror");
    rmSync(join(from, "go"));
    rmSync(join(from, "folder"), { recursive: true });
    await s3cmd("sync", "--delete-removed", `${from}/`, "s3://mirror");
    expect(await s3cmd("du", "s3://mirror")).toMatch(/^ *4 +1 objects s3:\/\/mirror\/$/m);
    await s3cmd("del", "--recursive", "--force", "s3://mirror");
    await s3cmd("rb", "s3://mirror");
    expect(await s3cmd("ls")).not.toContain("mirror");
  }, 120_000);

  it("200 MiB in parts, there and back, copied and moved within the server", async () => {
    const dir = scratch(server);
    const sum = makeLargeFile(join(dir, "large"));
    await s3cmd("mb", "s3://large");
    await s3cmd("put", "--multipart-chunk-size-mb=16", join(dir, "large"), "s3://large/one");
    await s3cmd("cp", "s3://large/one", "s3://large/two");
    await s3cmd("mv", "s3://large/two", "s3://large/three");
    await s3cmd("get", "s3://large/three", join(dir, "back"));
    expect(await sha256File(join(dir, "back"))).toBe(sum);
    expect(await s3cmd("multipart", "s3://large")).not.toMatch(/\bone\b/);
  }, 120_000);

  it("an interrupted get goes on where it stopped", async () => {
    const dir = scratch(server);
    writeFileSync(join(dir, "file"), Buffer.alloc(300_000, "0123456789"));
    await s3cmd("mb", "s3://ranges");
    await s3cmd("put", join(dir, "file"), "s3://ranges/file");
    writeFileSync(join(dir, "back"), readFileSync(join(dir, "file")).subarray(0, 123_456));
    await s3cmd("get", "--continue", "s3://ranges/file", join(dir, "back"));
    expect(readFileSync(join(dir, "back")).equals(readFileSync(join(dir, "file")))).toBe(true);
  }, 120_000);

  it("metadata and content type, set on put and changed in place", async () => {
    const dir = scratch(server);
    writeFileSync(join(dir, "file"), "text");
    await s3cmd("mb", "s3://metadata");
    await s3cmd(
      "put",
      "--mime-type=text/markdown",
      "--add-header=x-amz-meta-colour:red",
      join(dir, "file"),
      "s3://metadata/k",
    );
    expect(await s3cmd("info", "s3://metadata/k")).toMatch(/MIME type: +text\/markdown[\s\S]*x-amz-meta-colour: red/);
    await s3cmd("modify", "--add-header=x-amz-meta-colour:blue", "s3://metadata/k");
    expect(await s3cmd("info", "s3://metadata/k")).toMatch(/MIME type: +text\/markdown[\s\S]*x-amz-meta-colour: blue/);
  }, 120_000);

  it("ACLs: setacl opens an object to everybody and closes it", async () => {
    const dir = scratch(server);
    writeFileSync(join(dir, "file"), "public");
    await s3cmd("mb", "s3://acls");
    await s3cmd("put", "--acl-public", join(dir, "file"), "s3://acls/k");
    expect((await plainRequest(server, "/acls/k")).body.toString()).toBe("public");
    await s3cmd("setacl", "--acl-private", "s3://acls/k");
    expect((await plainRequest(server, "/acls/k")).status).toBe(403);
  }, 120_000);

  it("policies: set, shown and deleted", async () => {
    const dir = scratch(server);
    mkdirSync(join(dir, "open"));
    writeFileSync(join(dir, "open/a"), "open");
    const statement = {
      Effect: "Allow",
      Principal: "*",
      Action: "s3:GetObject",
      Resource: "arn:aws:s3:::policies/open/*",
    };
    writeFileSync(join(dir, "policy.json"), JSON.stringify({ Version: "2012-10-17", Statement: [statement] }));
    await s3cmd("mb", "s3://policies");
    await s3cmd("put", "--recursive", join(dir, "open"), "s3://policies/");
    await s3cmd("setpolicy", join(dir, "policy.json"), "s3://policies");
    expect(await s3cmd("info", "s3://policies")).toContain("arn:aws:s3:::policies/open/*");
    expect((await plainRequest(server, "/policies/open/a")).body.toString()).toBe("open");
    await s3cmd("delpolicy", "s3://policies");
    expect((await plainRequest(server, "/policies/open/a")).status).toBe(403);
  }, 120_000);

  it("lifecycle and CORS: set, shown and deleted", async () => {
    await s3cmd("mb", "s3://configured");
    await s3cmd("expire", "--expiry-days=30", "--expiry-prefix=tmp/", "s3://configured");
    expect(await s3cmd("getlifecycle", "s3://configured")).toMatch(/<Days>30<\/Days>/);
    await s3cmd("dellifecycle", "s3://configured");
    const cors = join(scratch(server), "cors.xml");
    const rule = "<AllowedMethod>GET</AllowedMethod><AllowedOrigin>https://example.com</AllowedOrigin>";
    writeFileSync(cors, `<CORSConfiguration><CORSRule>${rule}</CORSRule></CORSConfiguration>`);
    await s3cmd("setcors", cors, "s3://configured");
    expect(await s3cmd("info", "s3://configured")).toContain("https://example.com");
    await s3cmd("delcors", "s3://configured");
  }, 120_000);

  // s3cmd signs URLs with the old signature alone (2.3.0: signurl has no version 4).
  it("signurl: the old signature is refused in words that say so", async () => {
    const url = (await s3cmd("signurl", "s3://tree/none", "+60")).trim();
    const answer = await openUrl(server, url);
    expect([answer.status, answer.body.toString()]).toEqual([400, expect.stringMatching(/AWS4-HMAC-SHA256/)]);
  }, 120_000);
});
