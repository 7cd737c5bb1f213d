import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { clientProgram } from "./clients.mjs";
import { PROTOCOLS, type S3Server, startS3 } from "./harness.js";
import { ODD_NAMES, sha256, treeOf, writeTreeFile } from "./odd-tree.js";
import { awsEnvironment, client, scratch } from "./run-client.js";

describe.each(PROTOCOLS)("s3fs over $protocol", ({ https }) => {
  let server: S3Server;
  let mountPoint = "";
  const mount = async () => {
    const options = [
      ...[`url=${server.endpoint}`, "use_path_request_style", `endpoint=${server.region}`, "multipart_size=8"],
    ];
    await client(clientProgram("s3fs"), ["files", mountPoint, ...options.flatMap((option) => ["-o", option])], {
      env: {
        ...awsEnvironment(server),
        ...(server.caFile === undefined ? {} : { CURL_CA_BUNDLE: server.caFile, SSL_CERT_FILE: server.caFile }),
      },
    });
  };
  const unmount = () => spawnSync("umount", [mountPoint], { encoding: "utf8" });
  /** What is read afterwards comes from the server. */
  const remount = async () => {
    expect(unmount().stderr).toBe("");
    await mount();
  };
  beforeAll(async () => {
    server = await startS3({ https });
    mountPoint = scratch(server, "mount");
    expect(server.granary("bucket", "create", "files")).toMatchObject({ code: 0 });
    await mount();
  });
  afterAll(async () => {
    if (mountPoint !== "") unmount();
    await server?.remove();
  });

  it("files are written, listed, read back after a new mount, and removed", async () => {
    const data = randomBytes(100_000);
    writeFileSync(join(mountPoint, "file"), data);
    writeFileSync(join(mountPoint, "empty"), "");
    expect(readdirSync(mountPoint).sort()).toEqual(["empty", "file"]);
    await remount();
    expect(readFileSync(join(mountPoint, "file")).equals(data)).toBe(true);
    expect(statSync(join(mountPoint, "empty")).size).toBe(0);
    rmSync(join(mountPoint, "file"));
    rmSync(join(mountPoint, "empty"));
    expect(readdirSync(mountPoint)).toEqual([]);
  }, 120_000);

  it("files and folders are renamed, with what is in them", async () => {
    writeTreeFile(mountPoint, "before/one", "1");
    writeTreeFile(mountPoint, "before/inner/two", "2");
    renameSync(join(mountPoint, "before/one"), join(mountPoint, "before/three"));
    renameSync(join(mountPoint, "before"), join(mountPoint, "after"));
    await remount();
    expect(treeOf(mountPoint)).toEqual({ "after/inner/two": sha256("2"), "after/three": sha256("1") });
    rmSync(join(mountPoint, "after"), { recursive: true });
    expect(readdirSync(mountPoint)).toEqual([]);
  }, 120_000);

  it("a file is appended to, cut, and overwritten in its middle", async () => {
    const path = join(mountPoint, "changing");
    writeFileSync(path, "0123456789");
    appendFileSync(path, "abc");
    await remount();
    expect(readFileSync(path, "utf8")).toBe("0123456789abc");
    truncateSync(path, 5);
    await remount();
    expect(readFileSync(path, "utf8")).toBe("01234");
    rmSync(path);
  }, 120_000);

  it("30 MiB in parts of 8 MiB, and its rename, which copies parts within the server", async () => {
    const data = randomBytes(30 * 1024 ** 2);
    writeFileSync(join(mountPoint, "large"), data);
    renameSync(join(mountPoint, "large"), join(mountPoint, "larger"));
    await remount();
    expect(sha256(readFileSync(join(mountPoint, "larger")))).toBe(sha256(data));
    rmSync(join(mountPoint, "larger"));
  }, 120_000);

  it("folders that are empty stay, and go by rmdir", async () => {
    mkdirSync(join(mountPoint, "empty folder"));
    await remount();
    expect(statSync(join(mountPoint, "empty folder")).isDirectory()).toBe(true);
    rmdirSync(join(mountPoint, "empty folder"));
    expect(readdirSync(mountPoint)).toEqual([]);
  }, 120_000);

  it("modes, times and links are kept as metadata", async () => {
    const path = join(mountPoint, "script");
    writeFileSync(path, "#!/bin/sh\n", { mode: 0o750 });
    symlinkSync("script", join(mountPoint, "link"));
    await remount();
    expect(statSync(path).mode & 0o777).toBe(0o750);
    expect(readFileSync(join(mountPoint, "link"), "utf8")).toBe("#!/bin/sh\n");
    rmSync(join(mountPoint, "link"));
    rmSync(path);
  }, 120_000);

  it("odd names come back as they are", async () => {
    for (const name of ODD_NAMES) writeTreeFile(mountPoint, name, name);
    await remount();
    expect(treeOf(mountPoint)).toEqual(Object.fromEntries(ODD_NAMES.map((name) => [name, sha256(name)])));
  }, 120_000);
});
