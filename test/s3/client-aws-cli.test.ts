import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { clientProgram } from "./clients.mjs";
import { openUrl, PROTOCOLS, plainRequest, type S3Server, startS3 } from "./harness.js";
import { makeLargeFile, makeOddTree, sha256File, treeOf, writeTreeFile } from "./odd-tree.js";
import { awsEnvironment, client, scratch } from "./run-client.js";

describe.each(PROTOCOLS)("aws-cli over $protocol", ({ https }) => {
  let server: S3Server;
  const aws = (...args: string[]) =>
    client(clientProgram("aws-cli"), ["--endpoint-url", server.endpoint, ...args], { env: awsEnvironment(server) });
  const json = async <T>(...args: string[]) => JSON.parse(await aws(...args, "--output", "json")) as T;
  beforeAll(async () => {
    server = await startS3({ https });
  });
  afterAll(() => server?.remove());

  it("sync of a tree of odd names, there and back: the same tree, and nothing to do the second time", async () => {
    const [from, to] = [scratch(server, "from"), scratch(server, "to")];
    makeOddTree(from);
    await aws("s3", "mb", "s3://tree");
    await aws("s3", "sync", "--only-show-errors", from, "s3://tree/a prefix/");
    await aws("s3", "sync", "--only-show-errors", "s3://tree/a prefix/", to);
    expect(treeOf(to)).toEqual(treeOf(from));
    expect(await aws("s3", "sync", from, "s3://tree/a prefix/")).toBe("");
    const listed = await aws("s3", "ls", "--recursive", "s3://tree");
    expect(listed.trim().split("\n")).toHaveLength(Object.keys(treeOf(from)).length);
  }, 120_000);

  it("sync --delete removes what is gone, and leaves the rest", async () => {
    const from = scratch(server, "from");
    for (const name of ["keep", "go", "folder/go too"]) writeTreeFile(from, name, name);
    await aws("s3", "mb", "s3://mirror");
    await aws("s3", "sync", "--only-show-errors", from, "s3://mirror");
    rmSync(join(from, "go"));
    rmSync(join(from, "folder"), { recursive: true });
    await aws("s3", "sync", "--only-show-errors", "--delete", from, "s3://mirror");
    expect(await aws("s3", "ls", "--recursive", "s3://mirror")).toMatch(/^\S+ \S+ +4 keep\n$/);
    await aws("s3", "rb", "--force", "s3://mirror");
    expect(await aws("s3", "ls")).not.toContain("mirror");
  }, 120_000);

  it("200 MiB in parts, there and back, and copied within the server", async () => {
    const dir = scratch(server);
    const sum = makeLargeFile(join(dir, "large"));
    await aws("s3", "mb", "s3://large");
    await aws("s3", "cp", "--only-show-errors", join(dir, "large"), "s3://large/one");
    await aws("s3", "mv", "--only-show-errors", "s3://large/one", "s3://large/two");
    await aws("s3", "cp", "--only-show-errors", "s3://large/two", join(dir, "back"));
    expect(await sha256File(join(dir, "back"))).toBe(sum);
    const { ETag } = await json<{ ETag: string }>("s3api", "head-object", "--bucket", "large", "--key", "two");
    expect(ETag).toMatch(/^"[0-9a-f]{32}-\d+"$/);
    const { Uploads = [] } = await json<{ Uploads?: unknown[] }>(
      "s3api",
      "list-multipart-uploads",
      "--bucket",
      "large",
    );
    expect(Uploads).toEqual([]);
  }, 120_000);

  it("presign: anybody may open the URL, nobody one that was changed", async () => {
    const dir = scratch(server);
    writeFileSync(join(dir, "file"), "presigned");
    await aws("s3", "mb", "s3://presigned");
    await aws("s3", "cp", "--only-show-errors", join(dir, "file"), "s3://presigned/a key+ü");
    const presign = async () => (await aws("s3", "presign", "s3://presigned/a key+ü", "--expires-in", "60")).trim();
    // aws-cli 1 presigns by signature version 2 until it is told otherwise: refused, with words that say what to do.
    if (!(await presign()).includes("X-Amz-Signature")) {
      const refused = await openUrl(server, await presign());
      expect([refused.status, refused.body.toString()]).toEqual([400, expect.stringContaining("AWS4-HMAC-SHA256")]);
      await aws("configure", "set", "default.s3.signature_version", "s3v4");
    }
    const url = await presign();
    expect((await openUrl(server, url)).body.toString()).toBe("presigned");
    expect((await openUrl(server, url.replace("presigned/a", "presigned/b"))).status).toBe(403);
  }, 120_000);

  it("versions: each is there, a deleted object comes back when its marker goes", async () => {
    const dir = scratch(server);
    const put = async (text: string) => {
      writeFileSync(join(dir, "file"), text);
      return json<{ VersionId: string }>(
        ...["s3api", "put-object", "--bucket", "versions", "--key", "k", "--body", join(dir, "file")],
      );
    };
    await aws("s3", "mb", "s3://versions");
    await aws(
      ...["s3api", "put-bucket-versioning", "--bucket", "versions", "--versioning-configuration", "Status=Enabled"],
    );
    const first = await put("first");
    await put("second");
    const get = ["s3api", "get-object", "--bucket", "versions", "--key", "k"];
    await aws(...get, "--version-id", first.VersionId, join(dir, "back"));
    expect(readFileSync(join(dir, "back"), "utf8")).toBe("first");
    const marker = await json<{ VersionId: string; DeleteMarker: boolean }>(
      ...["s3api", "delete-object", "--bucket", "versions", "--key", "k"],
    );
    expect(marker.DeleteMarker).toBe(true);
    await expect(aws(...get, join(dir, "back"))).rejects.toThrow("NoSuchKey");
    const listed = await json<{ Versions: unknown[]; DeleteMarkers: unknown[] }>(
      ...["s3api", "list-object-versions", "--bucket", "versions"],
    );
    expect([listed.Versions.length, listed.DeleteMarkers.length]).toEqual([2, 1]);
    await aws(...["s3api", "delete-object", "--bucket", "versions", "--key", "k", "--version-id", marker.VersionId]);
    await aws(...get, join(dir, "back"));
    expect(readFileSync(join(dir, "back"), "utf8")).toBe("second");
  }, 120_000);

  it("a bucket policy opens one prefix to everybody, and its removal closes it", async () => {
    const dir = scratch(server);
    mkdirSync(join(dir, "public"));
    for (const name of ["public/a", "b"]) writeFileSync(join(dir, name), name);
    await aws("s3", "mb", "s3://policies");
    await aws("s3", "sync", "--only-show-errors", dir, "s3://policies");
    const policy = {
      Version: "2012-10-17",
      Statement: [
        { Effect: "Allow", Principal: "*", Action: "s3:GetObject", Resource: "arn:aws:s3:::policies/public/*" },
      ],
    };
    await aws("s3api", "put-bucket-policy", "--bucket", "policies", "--policy", JSON.stringify(policy));
    const { Policy } = await json<{ Policy: string }>("s3api", "get-bucket-policy", "--bucket", "policies");
    expect(JSON.parse(Policy)).toEqual(policy);
    expect((await plainRequest(server, "/policies/public/a")).body.toString()).toBe("public/a");
    expect((await plainRequest(server, "/policies/b")).status).toBe(403);
    await aws("s3api", "delete-bucket-policy", "--bucket", "policies");
    expect((await plainRequest(server, "/policies/public/a")).status).toBe(403);
  }, 120_000);
});
