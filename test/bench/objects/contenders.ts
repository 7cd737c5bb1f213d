import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Credentials } from "./sigv4.js";
import type { Tool } from "./tools.js";

const MAIN = fileURLToPath(new URL("../../../src/main.js", import.meta.url));

export type ContenderName = "granary" | "minio" | "minio-sync" | "versitygw";
export type ObjectOperation = "PUT" | "GET" | "HEAD" | "DELETE";

/** One server with one set of settings. */
export interface Contender {
  name: ContenderName;
  title: string;
  /** What installs it; Granary is built from this tree. */
  tool?: Tool;
  /** Whether it syncs what it acknowledges, for the PUTs at least: no peer syncs its DELETEs. */
  synced: boolean;
  /** What its settings are and what it syncs with them, in words. By its sources, and by the table of system calls. */
  safety: string;
  /** All but those of the same program with other settings, which do not matter to the others. */
  operations: readonly ObjectOperation[];
  command(place: { dir: string; port: number; tools: string; credentials: Credentials }): {
    program: string;
    args: readonly string[];
    env: Record<string, string>;
  };
}

const ALL = ["PUT", "GET", "HEAD", "DELETE"] as const;

export const GRANARY: Contender = {
  name: "granary",
  title: "Granary",
  synced: true,
  safety: "as it comes; PUT and DELETE are synced before they are acknowledged",
  operations: ALL,
  command: ({ dir, port, credentials }) => ({
    program: process.execPath,
    args: [
      ...[MAIN, "objectstore", "--data-dir", dir, "--s3-listen", `127.0.0.1:${port}`, "--workers", "auto"],
      // Its default port may be another server's.
      ...["--metrics-address", ""],
    ],
    env: {
      GRANARY_ROOT_ACCESS_KEY: credentials.accessKey,
      GRANARY_ROOT_SECRET_KEY: credentials.secretKey,
    },
  }),
};

const MINIO: Tool = { program: "minio", source: "github.com/minio/minio@latest" };

const minioCommand =
  (settings: Record<string, string>): Contender["command"] =>
  ({ dir, port, tools, credentials }) => ({
    program: join(tools, MINIO.program),
    args: ["server", "--quiet", "--address", `127.0.0.1:${port}`, dir],
    env: {
      MINIO_ROOT_USER: credentials.accessKey,
      MINIO_ROOT_PASSWORD: credentials.secretKey,
      // Neither belongs to storing objects: the web console, and asking home for a newer release.
      MINIO_BROWSER: "off",
      MINIO_UPDATE: "off",
      ...settings,
    },
  });

const VERSITYGW: Tool = { program: "versitygw", source: "github.com/versity/versitygw/cmd/versitygw@latest" };

export const PEERS: readonly Contender[] = [
  {
    name: "minio",
    title: "MinIO",
    tool: MINIO,
    synced: true,
    safety: "as it comes; a PUT's new file is synced, the rename that makes it visible is not; a DELETE is not synced",
    operations: ALL,
    command: minioCommand({}),
  },
  {
    name: "minio-sync",
    title: "MinIO, MINIO_FS_OSYNC=on",
    tool: MINIO,
    synced: true,
    safety: "its safest setting: sync(2), of the whole machine, after each PUT's rename too; a DELETE is not synced",
    operations: ["PUT", "DELETE"],
    command: minioCommand({ MINIO_FS_OSYNC: "on" }),
  },
  {
    name: "versitygw",
    title: "versitygw",
    tool: VERSITYGW,
    synced: false,
    safety: "its posix backend; it has no setting that syncs: an acknowledged PUT or DELETE may be lost with the power",
    operations: ALL,
    command: ({ dir, port, tools, credentials }) => ({
      program: join(tools, VERSITYGW.program),
      // Without keep-alive it would be measured opening connections.
      args: ["--quiet", "--keep-alive", "--port", `127.0.0.1:${port}`, "posix", dir],
      env: { ROOT_ACCESS_KEY: credentials.accessKey, ROOT_SECRET_KEY: credentials.secretKey },
    }),
  },
];
