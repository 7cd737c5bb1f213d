import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Credentials } from "./sigv4.js";

const MAIN = fileURLToPath(new URL("../../../src/main.js", import.meta.url));

export type ContenderName = "granary" | "minio" | "minio-sync" | "versitygw";

/** One server with one set of settings. */
export interface Contender {
  name: ContenderName;
  title: string;
  /** What an acknowledged PUT and DELETE outlive. Best synced peer means the best of those that sync the operation. */
  syncs: { PUT: boolean; DELETE: boolean };
  /** The setting and what it syncs, in words for the table. */
  safety: string;
  command(place: { dir: string; port: number; tools: string; credentials: Credentials }): {
    program: string;
    args: readonly string[];
    env: Record<string, string>;
  };
}

export const GRANARY: Contender = {
  name: "granary",
  title: "Granary",
  syncs: { PUT: true, DELETE: true },
  safety: "the only setting: data, metadata and deletions are synced before they are acknowledged",
  command: ({ dir, port, credentials }) => ({
    program: process.execPath,
    args: [MAIN, "objectstore", "--data-dir", dir, "--s3-listen", `127.0.0.1:${port}`, "--workers", "auto"],
    env: {
      GRANARY_ROOT_ACCESS_KEY: credentials.accessKey,
      GRANARY_ROOT_SECRET_KEY: credentials.secretKey,
    },
  }),
};

const minio = (env: Record<string, string>): Contender["command"] => {
  return ({ dir, port, tools, credentials }) => ({
    program: join(tools, "minio"),
    args: ["server", "--quiet", "--address", `127.0.0.1:${port}`, dir],
    env: {
      MINIO_ROOT_USER: credentials.accessKey,
      MINIO_ROOT_PASSWORD: credentials.secretKey,
      // Neither belongs to storing objects: the web console, and asking home for a newer release.
      MINIO_BROWSER: "off",
      MINIO_UPDATE: "off",
      ...env,
    },
  });
};

export const PEERS: readonly Contender[] = [
  {
    name: "minio",
    title: "MinIO",
    syncs: { PUT: true, DELETE: false },
    safety:
      "as it comes: fdatasync of the new file before PUT is acknowledged; neither the rename that makes it visible nor a DELETE is synced",
    command: minio({}),
  },
  {
    name: "minio-sync",
    title: "MinIO, MINIO_FS_OSYNC=on",
    syncs: { PUT: true, DELETE: false },
    safety: "its safest setting: sync(2), of the whole machine, after the rename of every PUT; a DELETE is not synced",
    command: minio({ MINIO_FS_OSYNC: "on" }),
  },
  {
    name: "versitygw",
    title: "versitygw",
    syncs: { PUT: false, DELETE: false },
    safety: "posix backend; it has no setting that syncs: an acknowledged PUT may be lost with the power",
    command: ({ dir, port, tools, credentials }) => ({
      program: join(tools, "versitygw"),
      // Without keep-alive it would be measured opening connections.
      args: ["--quiet", "--keep-alive", "--port", `127.0.0.1:${port}`, "posix", dir],
      env: { ROOT_ACCESS_KEY: credentials.accessKey, ROOT_SECRET_KEY: credentials.secretKey },
    }),
  },
];
