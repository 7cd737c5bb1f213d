import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { clientProgram } from "./clients.mjs";
import { openUrl, PROTOCOLS, type S3Server, startS3 } from "./harness.js";
import { makeLargeFile, makeOddTree, sha256File, treeOf, writeTreeFile } from "./odd-tree.js";
import { client, runClient, scratch } from "./run-client.js";

describe.each(PROTOCOLS)("rclone over $protocol", ({ https }) => {
  let server: S3Server;
  const options = () => ({
    env: {
      HOME: server.dir,
      RCLONE_CONFIG: join(server.dir, "rclone.conf"),
      RCLONE_CONFIG_G_TYPE: "s3",
      RCLONE_CONFIG_G_PROVIDER: "Other",
      RCLONE_CONFIG_G_ENDPOINT: server.endpoint,
      RCLONE_CONFIG_G_ACCESS_KEY_ID: server.accessKey,
      RCLONE_CONFIG_G_SECRET_ACCESS_KEY: server.secretKey,
      ...(server.caFile === undefined ? {} : { RCLONE_CA_CERT: server.caFile }),
    },
  });
  const rclone = (...args: string[]) => client(clientProgram("rclone"), args, options());
  beforeAll(async () => {
    server = await startS3({ https });
    writeFileSync(join(server.dir, "rclone.conf"), "");
  });
  afterAll(() => server?.remove());

  it("sync of a tree of odd names, there and back, checked byte by byte, and nothing to do the second time", async () => {
    const [from, to] = [scratch(server, "from"), scratch(server, "to")];
    makeOddTree(from);
    await rclone("mkdir", "g:tree");
    // Else it takes the two ways to write an é for one file.
    await rclone("sync", "--no-unicode-normalization", from, "g:tree/a prefix");
    await rclone("check", "--no-unicode-normalization", "--download", from, "g:tree/a prefix");
    await rclone("sync", "--no-unicode-normalization", "g:tree/a prefix", to);
    expect(treeOf(to)).toEqual(treeOf(from));
    const again = await runClient(
      clientProgram("rclone"),
      ["sync", "--no-unicode-normalization", "-v", from, "g:tree/a prefix"],
      options(),
    );
    expect([again.code, again.stderr]).toEqual([0, expect.stringMatching(/There was nothing to transfer/)]);
  }, 120_000);

  it("a file's time goes with it, and comes back", async () => {
    const [from, to] = [scratch(server, "from"), scratch(server, "to")];
    writeTreeFile(from, "old", "old");
    utimesSync(join(from, "old"), 1_000_000_000.5, 1_000_000_000.5);
    await rclone("mkdir", "g:times");
    await rclone("copy", from, "g:times");
    await rclone("copy", "g:times", to);
    expect(statSync(join(to, "old")).mtimeMs).toBe(1_000_000_000_500);
  }, 120_000);

  it("sync removes what is gone; purge removes bucket and all", async () => {
    const from = scratch(server, "from");
    for (const name of ["keep", "go", "folder/go too"]) writeTreeFile(from, name, name);
    await rclone("mkdir", "g:mirror");
    await rclone("sync", from, "g:mirror");
    rmSync(join(from, "go"));
    rmSync(join(from, "folder"), { recursive: true });
    await rclone("sync", from, "g:mirror");
    expect(await rclone("lsf", "--recursive", "g:mirror")).toBe("keep\n");
    await rclone("purge", "g:mirror");
    expect(await rclone("lsd", "g:")).not.toContain("mirror");
  }, 120_000);

  it("200 MiB in parts of 16 MiB by four at once, moved within the server, and back", async () => {
    const dir = scratch(server);
    const sum = makeLargeFile(join(dir, "large"));
    await rclone("mkdir", "g:large");
    const parts = ["--s3-chunk-size", "16M", "--s3-upload-concurrency", "4", "--s3-upload-cutoff", "16M"];
    await rclone("copyto", ...parts, join(dir, "large"), "g:large/one");
    await rclone("moveto", "g:large/one", "g:large/two");
    await rclone("copyto", "g:large/two", join(dir, "back"));
    expect(await sha256File(join(dir, "back"))).toBe(sum);
    expect(await rclone("lsf", "g:large")).toBe("two\n");
  }, 120_000);

  it("a stream of unknown length", async () => {
    const input = "0123456789".repeat(100_000);
    await rclone("mkdir", "g:streams");
    await client(clientProgram("rclone"), ["rcat", "g:streams/k"], { ...options(), input });
    expect(await rclone("cat", "g:streams/k")).toBe(input);
    expect(await rclone("cat", "--offset", "10", "--count", "5", "g:streams/k")).toBe("01234");
  }, 120_000);

  it("link: a presigned URL that anybody may open", async () => {
    await rclone("mkdir", "g:links");
    await client(clientProgram("rclone"), ["rcat", "g:links/a key"], { ...options(), input: "linked" });
    const url = (await rclone("link", "--expire", "60s", "g:links/a key")).trim();
    expect((await openUrl(server, url)).body.toString()).toBe("linked");
  }, 120_000);

  it("versions: old ones are listed and read by their time", async () => {
    const dir = scratch(server);
    await rclone("mkdir", "g:versions");
    expect(server.granary("bucket", "set", "versions", "--versioning", "enabled").code).toBe(0);
    for (const text of ["first", "second"]) {
      writeFileSync(join(dir, "file"), text);
      await rclone("copyto", "--ignore-times", join(dir, "file"), "g:versions/k.txt");
    }
    await rclone("deletefile", "g:versions/k.txt");
    expect(await rclone("lsf", "g:versions")).toBe("");
    const old = (await rclone("lsf", "--s3-versions", "g:versions")).trim().split("\n");
    expect(old).toEqual([expect.stringMatching(/^k-v.*\.txt$/), expect.stringMatching(/^k-v.*\.txt$/)]);
    const texts = await Promise.all(old.map((name) => rclone("cat", "--s3-versions", `g:versions/${name}`)));
    expect(texts.sort()).toEqual(["first", "second"]);
  }, 120_000);

  it("folders: markers keep empty ones, where asked for", async () => {
    const [from, to] = [scratch(server, "from"), scratch(server, "to")];
    mkdirSync(join(from, "empty"));
    writeTreeFile(from, "full/file", "1");
    await rclone("mkdir", "g:folders");
    await rclone("copy", "--create-empty-src-dirs", from, "g:folders");
    await rclone("copy", "g:folders", to);
    expect(readFileSync(join(to, "full/file"), "utf8")).toBe("1");
    expect(readdirSync(to)).toContain("full");
  }, 120_000);
});
