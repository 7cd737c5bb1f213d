import { resolve } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { invalid, messageOf } from "../errors/storage-error.js";
import { nearest } from "../model/nearest.js";
import { Secret } from "../model/secret.js";

/** A Ceph cluster that volumes may be stored in, checked and ready for use. */
export interface ClusterConfig {
  /** What a StorageClass's `cluster` says. It becomes a part of volume ids: renaming a cluster loses its volumes. */
  readonly name: string;
  /** As Ceph's mon_host takes them: HOST, HOST:PORT, or [v2:HOST:PORT,v1:HOST:PORT]. */
  readonly monitors: readonly string[];
  /** Without `client.`. */
  readonly user: string;
  /** An absolute path; "" where `key` is given, and where neither is: then each CSI request must bring its secrets. */
  readonly keyring: string;
  readonly key: Secret | undefined;
  /** For block volumes; the first is the default, and holds the records that are of no pool. */
  readonly pools: readonly string[];
  /** Of the pools, for block volumes; "" for none. */
  readonly namespace: string;
  /** For shared volumes; "": the cluster's only one. */
  readonly filesystem: string;
  readonly subvolumeGroup: string;
}

// In the ids of volumes (src/model/volume-id.ts).
const NAME = /^[a-z0-9]{1,16}$/;
/** What Ceph's tools and config files take without quoting; Ceph itself would allow more. */
const WORD = /^[A-Za-z0-9._][A-Za-z0-9._-]{0,127}$/;
const MONITOR =
  /^(?:\[[^\s[\]]*(?:\[[0-9a-fA-F:.]+\][^\s[\]]*)*\]|(?:v[12]:)?(?:\[[0-9a-fA-F:.]+\]|[^\s,:[\]/]+)(?::\d{1,5})?)$/;
/** Base64, as `ceph auth get-key` prints it. */
export const CEPH_KEY = /^[A-Za-z0-9+/]{20,}={0,2}$/;

const word = (what: string) => z.string().regex(WORD, `must be ${what}: letters, digits, dots, underscores, hyphens`);

const monitors = z
  .union([z.string(), z.array(z.string())], "must be a list of monitors, for example [10.0.0.1:6789, 10.0.0.2:6789]")
  .transform((value) => (typeof value === "string" ? splitOutsideBrackets(value) : value.map((one) => one.trim())))
  .refine((list) => list.length > 0 && list.every((one) => MONITOR.test(one)), {
    message: "must be HOST, HOST:PORT or [v2:HOST:PORT,v1:HOST:PORT], one or more",
  });

const Shape = z.strictObject({
  monitors,
  user: word("a Ceph user without its client. prefix").default("admin"),
  keyring: z.string().default(""),
  key: z
    .string()
    .regex(CEPH_KEY, "must be a key as `ceph auth get-key client.USER` prints it")
    .transform((text) => new Secret(text))
    .optional(),
  pools: z
    .union([z.string(), z.array(z.string())], "must be a list of pools")
    .transform((value) => (typeof value === "string" ? value.split(",") : value).map((one) => one.trim()))
    .pipe(z.array(word("the name of a pool")))
    .default([]),
  namespace: z.union([z.literal(""), word("a namespace of the pools")]).default(""),
  filesystem: z.union([z.literal(""), word("the name of a file system")]).default(""),
  subvolumeGroup: word("the name of a subvolume group").default("granary"),
});
const FIELDS = Object.keys(Shape.shape);

/**
 * The clusters of a config: a map from name to fields, or the same as YAML or JSON text (of a flag or the environment).
 *
 * @throws StorageError invalid-argument naming the field, never with a key in it
 */
export function parseClusters(raw: unknown): readonly ClusterConfig[] {
  const clusters = typeof raw === "string" ? fromText(raw) : raw;
  if (typeof clusters !== "object" || clusters === null || Array.isArray(clusters))
    throw invalid("config: clusters (GRANARY_CLUSTERS) must map a cluster's name to its monitors, user, keyring ...");
  return Object.freeze(Object.entries(clusters).map(([name, fields]) => parseCluster(name, fields)));
}

function fromText(text: string): unknown {
  try {
    return parse(text) ?? {};
  } catch (error) {
    // YAML's message may quote the line, which may hold a key.
    const [where = ""] = /at line \d+, column \d+/.exec(messageOf(error)) ?? [];
    throw invalid(`config: clusters (GRANARY_CLUSTERS) is neither YAML nor JSON ${where}`.trim());
  }
}

function parseCluster(name: string, raw: unknown): ClusterConfig {
  if (!NAME.test(name))
    throw invalid(
      `config: clusters: ${JSON.stringify(name.slice(0, 64))} must be 1 to 16 lower-case letters and digits`,
    );
  if (typeof raw !== "object" || raw === null || Array.isArray(raw))
    throw invalid(`config: clusters.${name} must hold keys and values, at least monitors`);
  for (const field of Object.keys(raw)) {
    if (!FIELDS.includes(field))
      throw invalid(
        `config: clusters.${name}: unknown key ${JSON.stringify(field)}; did you mean ${JSON.stringify(nearest(field, FIELDS))}?`,
      );
  }
  const parsed = Shape.safeParse(raw);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw invalid(`config: clusters.${name}.${String(issue?.path[0] ?? "")}: ${issue?.message ?? "invalid"}`);
  }
  const { keyring, key, ...rest } = parsed.data;
  if (keyring !== "" && key) throw invalid(`config: clusters.${name}: give keyring, a file, or key, not both`);
  return Object.freeze({ name, ...rest, key, keyring: keyring && resolve(keyring) });
}

/** `[v2:a:1,v1:a:2],b` is two. */
function splitOutsideBrackets(text: string): string[] {
  return text
    .split(/,(?![^[]*\])/)
    .map((one) => one.trim())
    .filter((one) => one !== "");
}
