import type { ClusterConfig } from "../../../config/clusters.js";
import { invalid } from "../../../errors/storage-error.js";
import { parseSize } from "../../../model/size.js";

export const PARAMETER_KEYS = [
  ...["cluster", "pool", "namespace", "imageFeatures", "dataPool"],
  ...["stripeUnit", "stripeCount", "objectSize", "iops", "bps"],
] as const;
export const MUTABLE_KEYS = ["iops", "bps"] as const;

/** What librbd takes of an image's metadata, by our keys. */
export const QOS_METADATA: Readonly<Record<(typeof MUTABLE_KEYS)[number], string>> = {
  iops: "conf_rbd_qos_iops_limit",
  bps: "conf_rbd_qos_bps_limit",
};

/** All that krbd of Linux 5.3 and later knows too. Journaling is of no use here, and krbd has none. */
const FEATURES = ["layering", "exclusive-lock", "object-map", "fast-diff", "deep-flatten"] as const;
const NEEDS: Readonly<Record<string, string>> = { "object-map": "exclusive-lock", "fast-diff": "object-map" };
// Copies are clones, and fencing goes by the lock.
const REQUIRED = ["layering", "exclusive-lock"];

const WORD = /^[A-Za-z0-9._][A-Za-z0-9._-]{0,127}$/;

export interface RbdClass {
  pool: string;
  namespace: string;
  /** Of `rbd create` and `rbd clone`. */
  options: string[];
  /** Where the data goes, as far as capacity is concerned. */
  dataPool: string;
}

type Parameters = Readonly<Record<string, string>>;

/**
 * The values of a StorageClass.
 *
 * @throws StorageError invalid-argument naming the key and what would be right
 */
export function parseClass(parameters: Parameters, config: ClusterConfig): RbdClass {
  const pool = parameters.pool || (config.pools[0] ?? "");
  if (!config.pools.includes(pool))
    throw invalid(
      `parameters[pool]: ${JSON.stringify(pool)} is none of the pools of clusters.${config.name} in the config: ${config.pools.join(", ") || "it names none"}`,
    );
  const namespace = parameters.namespace || config.namespace;
  if (namespace !== "" && !WORD.test(namespace)) throw notWord("namespace", namespace, "a namespace of the pool");
  const dataPool = parameters.dataPool ?? "";
  if (dataPool !== "" && !WORD.test(dataPool)) throw notWord("dataPool", dataPool, "the name of a pool");
  parseQos(parameters, "parameters");
  return {
    ...{ pool, namespace, dataPool: dataPool || pool },
    options: [
      ...parseFeatures(parameters.imageFeatures ?? "").flatMap((feature) => ["--image-feature", feature]),
      ...(dataPool === "" ? [] : ["--data-pool", dataPool]),
      ...parseLayout(parameters),
    ],
  };
}

const notWord = (key: string, value: string, what: string) =>
  invalid(`parameters[${key}]: ${JSON.stringify(value.slice(0, 64))} must be ${what}: letters, digits, . _ and -`);

function parseFeatures(text: string): readonly string[] {
  if (text === "") return FEATURES;
  const features = text.split(",").map((one) => one.trim());
  for (const feature of features) {
    if (!(FEATURES as readonly string[]).includes(feature))
      throw invalid(`parameters[imageFeatures]: ${JSON.stringify(feature)} is not one of ${FEATURES.join(", ")}`);
    const needed = NEEDS[feature];
    if (needed !== undefined && !features.includes(needed))
      throw invalid(`parameters[imageFeatures]: ${feature} needs ${needed} too`);
  }
  const missing = REQUIRED.find((feature) => !features.includes(feature));
  if (missing !== undefined) throw invalid(`parameters[imageFeatures]: ${missing} is missing, which Granary needs`);
  return features;
}

const MIN_OBJECT_BYTES = 4096n;
const MAX_OBJECT_BYTES = 32n * 1024n ** 2n;
const DEFAULT_OBJECT_BYTES = 4n * 1024n ** 2n;

function parseLayout({ objectSize = "", stripeUnit = "", stripeCount = "" }: Parameters): string[] {
  const objectBytes = objectSize === "" ? DEFAULT_OBJECT_BYTES : parseSize("parameters[objectSize]", objectSize);
  const isPower = (objectBytes & (objectBytes - 1n)) === 0n;
  if (objectBytes < MIN_OBJECT_BYTES || objectBytes > MAX_OBJECT_BYTES || !isPower)
    throw invalid(`parameters[objectSize]: ${objectSize} must be a power of two from 4Ki to 32Mi`);
  const options = objectSize === "" ? [] : ["--object-size", `${objectBytes}B`];
  if ((stripeUnit === "") !== (stripeCount === ""))
    throw invalid(
      `parameters[${stripeUnit === "" ? "stripeUnit" : "stripeCount"}] is missing: both or neither are given`,
    );
  if (stripeUnit === "") return options;
  const unitBytes = parseSize("parameters[stripeUnit]", stripeUnit);
  if (unitBytes < 512n || unitBytes > objectBytes || objectBytes % unitBytes !== 0n)
    throw invalid(`parameters[stripeUnit]: ${stripeUnit} must divide objectSize, ${objectBytes} bytes`);
  if (!/^[1-9]\d{0,3}$/.test(stripeCount))
    throw invalid(`parameters[stripeCount]: ${JSON.stringify(stripeCount)} must be a number of objects from 1 to 9999`);
  return [...options, "--stripe-unit", `${unitBytes}B`, "--stripe-count", stripeCount];
}

/**
 * Limits of a volume, by the metadata that librbd takes them from; "0" for one that is taken away again.
 *
 * @throws StorageError invalid-argument; nothing is applied when one key is wrong
 */
export function parseQos(values: Parameters, field: string): Map<string, string> {
  const limits = new Map<string, string>();
  for (const key of MUTABLE_KEYS) {
    const value = values[key];
    if (value === undefined) continue;
    const name = `${field}[${key}]`;
    const limit = key === "bps" ? parseSize(name, value) : wholeNumber(name, value);
    limits.set(QOS_METADATA[key], String(limit));
  }
  return limits;
}

function wholeNumber(field: string, text: string): bigint {
  if (!/^\d{1,12}$/.test(text))
    throw invalid(
      `${field}: ${JSON.stringify(text.slice(0, 64))} must be a whole number of operations a second, 0 for no limit`,
    );
  return BigInt(text);
}
