import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { invalid, messageOf } from "../errors/storage-error.js";
import { nearest } from "../model/nearest.js";
import { ALL_STEPS } from "../runtime/steps.js";
import { type ClusterConfig, parseClusters } from "./clusters.js";
import { OBJECT_STORE_DEFAULTS, type ObjectStoreConfig, objectStoreConfig, objectStoreKeys } from "./object-store.js";
import { flattened } from "./s3-upstream.js";

// CSI spec, "NodeGetInfoResponse.node_id".
const MAX_NODE_ID_BYTES = 256;

const schema = z.object({
  dataDir: z.string().min(1),
  poolDir: z.string(),
  csiEndpoint: z.string(),
  nodeId: z
    .string()
    .min(1)
    .refine((id) => Buffer.byteLength(id) <= MAX_NODE_ID_BYTES, `more than ${MAX_NODE_ID_BYTES} bytes`),
  overcommit: z.coerce.number().min(1).max(1000),
  lowSpaceRatio: z.coerce.number().min(0).max(0.5),
  logLevel: z.enum(["fatal", "error", "warn", "info", "debug", "trace"]),
  metricsAddress: z.string(),
  crashAt: z.enum(["", ...ALL_STEPS]),
  clusters: z.unknown(),
  ...objectStoreKeys,
});

type Key = keyof z.infer<typeof schema>;
type SharedKey = Exclude<Key, keyof typeof objectStoreKeys>;

/** `explicit`: the keys that somebody set; the others have their defaults. */
export type Config = Readonly<Omit<Pick<z.infer<typeof schema>, SharedKey>, "clusters">> &
  ObjectStoreConfig & {
    /** The Ceph clusters, in the order of the config. */
    readonly clusters: readonly ClusterConfig[];
    readonly explicit: ReadonlySet<string>;
  };
type RawConfig = Partial<Record<Key, unknown>>;

const DEFAULTS = {
  dataDir: "/var/lib/granary",
  poolDir: "",
  csiEndpoint: "",
  nodeId: hostname(),
  overcommit: 10,
  lowSpaceRatio: 0.05,
  logLevel: "info",
  metricsAddress: "127.0.0.1:9810",
  /** For crash tests alone, and so without a flag. */
  crashAt: "",
  clusters: {},
  ...OBJECT_STORE_DEFAULTS,
} satisfies Record<Key, unknown>;

const KEYS = Object.keys(DEFAULTS) as Key[];

/** `dataDir` as an environment variable: GRANARY_DATA_DIR. */
export const environmentName = (key: string) =>
  `GRANARY_${key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;

/**
 * One validated, frozen value from file, environment and flags; a flag wins over the environment, that over the file.
 *
 * @param socket the file in the data dir that CSI is served on unless `csiEndpoint` says otherwise
 * @throws StorageError invalid-argument naming the key, where it came from, and for an unknown key the nearest known one
 */
export function loadConfig(
  flags: RawConfig & { config?: string | undefined },
  environment: Record<string, string | undefined> = process.env,
  socket = "csi.sock",
): Config {
  const path = flags.config ?? environment.GRANARY_CONFIG;
  const set: Record<string, unknown> = path === undefined ? {} : readFile(path);
  for (const key of KEYS) {
    const fromEnvironment = environment[environmentName(key)];
    if (fromEnvironment !== undefined) set[key] = fromEnvironment;
    if (flags[key] !== undefined) set[key] = flags[key];
  }
  const parsed = schema.safeParse({ ...DEFAULTS, ...set });
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const key = String(issue?.path[0] ?? "");
    throw invalid(`config: ${key} (${environmentName(key)}): ${issue?.message ?? "invalid"}`);
  }
  const dataDir = resolve(parsed.data.dataDir);
  const csiEndpoint = parsed.data.csiEndpoint || `unix://${join(dataDir, socket)}`;
  checkEndpoint(csiEndpoint);
  checkMetricsAddress(parsed.data.metricsAddress);
  const { overcommit, lowSpaceRatio, nodeId, logLevel, metricsAddress, crashAt } = parsed.data;
  return Object.freeze({
    ...{ overcommit, lowSpaceRatio, nodeId, logLevel, metricsAddress, crashAt },
    ...objectStoreConfig(parsed.data),
    dataDir,
    poolDir: parsed.data.poolDir ? resolve(parsed.data.poolDir) : join(dataDir, "pool"),
    csiEndpoint,
    clusters: parseClusters(parsed.data.clusters),
    explicit: new Set(Object.keys(set)),
  });
}

function readFile(path: string): Record<string, unknown> {
  let raw: unknown;
  try {
    raw = parse(readFileSync(path, "utf8")) ?? {};
  } catch (error) {
    throw invalid(`config: ${path} cannot be read: ${messageOf(error)}`);
  }
  if (typeof raw !== "object" || raw === null || Array.isArray(raw))
    throw invalid(`config: ${path} must hold keys and values`);
  const flat = flattened(path, raw as Record<string, unknown>);
  for (const key of Object.keys(flat)) {
    if (!(KEYS as string[]).includes(key))
      throw invalid(
        `config: ${path}: unknown key ${JSON.stringify(key)}; did you mean ${JSON.stringify(nearest(key, KEYS))}?`,
      );
  }
  return flat;
}

// CSI spec, "Configuration": the endpoint is a unix socket whose path ends in .sock.
function checkEndpoint(endpoint: string): void {
  const path = endpoint.replace(/^unix:\/\//, "");
  if (!endpoint.startsWith("unix://") || !isAbsolute(path) || !path.endsWith(".sock")) {
    throw invalid(`config: csiEndpoint ${JSON.stringify(endpoint)} must be unix:///absolute/path.sock`);
  }
  if (Buffer.byteLength(path) > 107)
    throw invalid(`config: csiEndpoint's path is longer than a unix socket's 107 bytes: ${path}`);
}

function checkMetricsAddress(address: string): void {
  const port = /^(?:\[[0-9a-fA-F:.]+\]|[^:[\]\s/]+):(\d{1,5})$/.exec(address)?.[1];
  if (address !== "" && (port === undefined || Number(port) > 65_535))
    throw invalid(`config: metricsAddress ${JSON.stringify(address)} must be HOST:PORT, or empty for no metrics`);
}
