// Where the S3 clients of test/s3 are, and which of its tests need which: for the tests themselves and for test/run.mjs.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const venv = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "granary", "s3-clients", "bin");

/** The program's path, or undefined. A user's PATH on Debian has no sbin. */
function onPath(name) {
  const folders = `${process.env.PATH ?? ""}:/usr/local/sbin:/usr/sbin:/sbin`.split(":");
  return folders.map((folder) => join(folder, name)).find((path) => isThere(path));
}

const isThere = (path) => path.startsWith("/") && existsSync(path);

const inVenv = (name) => (existsSync(join(venv, name)) ? join(venv, name) : undefined);

function python() {
  const path = inVenv("python");
  return path && spawnSync(path, ["-c", "import boto3"]).status === 0 ? path : undefined;
}

/** FUSE needs its device and, without root, a setuid fusermount. */
function s3fs() {
  return existsSync("/dev/fuse") && process.getuid?.() === 0 ? onPath("s3fs") : undefined;
}

const FIND = {
  "aws-cli": () => inVenv("aws"),
  boto3: python,
  s3cmd: () => onPath("s3cmd"),
  rclone: () => onPath("rclone"),
  restic: () => onPath("restic"),
  s3fs,
};

/** Each client that is installed by the preflight, with its program where it is there. */
export const CLIENTS = Object.entries(FIND).map(([name, find]) => ({
  name,
  program: find(),
  testFile: `test/s3/client-${name}.test.ts`,
}));

/** @throws Error naming the client, when it is not there: test/run.mjs leaves its tests out */
export function clientProgram(name) {
  const client = CLIENTS.find((one) => one.name === name);
  if (client?.program) return client.program;
  throw new Error(`${name} is not installed; run: bash test/s3/preflight.sh`);
}
