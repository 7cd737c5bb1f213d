import { isIP } from "node:net";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { z } from "zod";
import { invalid } from "../errors/storage-error.js";
import { checkAccessKey, checkSecretKey } from "../model/access-key.js";
import { parseDurationMs } from "../model/duration.js";
import { Secret } from "../model/secret.js";
import { S3_UPSTREAM_DEFAULTS, type S3UpstreamConfig, s3UpstreamConfig, s3UpstreamKeys } from "./s3-upstream.js";

const MAX_WORKERS = 256;
const MAX_INLINE_BYTES = 1024 ** 2;
// A timer of Node's fires at once when it is longer than this.
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Words of one text, or of a YAML list: `a, b` or [a, b]. */
const list = z
  .union([z.string(), z.array(z.string())], "must be a list, or words with commas between them")
  .transform((value) =>
    (typeof value === "string" ? value.split(",") : value).map((word) => word.trim()).filter((word) => word !== ""),
  );

const flag = z
  .union([z.boolean(), z.enum(["true", "false", "1", "0"])], "must be true or false")
  .transform((value) => value === true || value === "true" || value === "1");

/** A duration's text; YAML makes a number of `30`. */
const duration = z.union([z.string(), z.number()], "must be a duration, for example 24h").transform(String);

/** `auto`, which becomes undefined, or a whole number in the range. */
function autoOrNumber(what: string, min: number, max: number) {
  return z
    .union([z.string(), z.number()], `must be auto, or a ${what} from ${min} to ${max}`)
    .transform((value) => (value === "auto" ? undefined : /^\d+$/.test(String(value)) ? Number(value) : Number.NaN))
    .refine((value) => value === undefined || (value >= min && value <= max), {
      message: `must be auto, or a ${what} from ${min} to ${max}`,
    });
}

/** The keys of the S3 gateway, as people write them. */
export const objectStoreKeys = {
  s3Enabled: flag,
  s3Listen: z.string(),
  workers: autoOrNumber("number", 1, MAX_WORKERS),
  tlsCert: z.string(),
  tlsKey: z.string(),
  region: z
    .string()
    .regex(
      /^[a-z0-9][a-z0-9-]{0,62}$/,
      "must be a region's name, for example us-east-1: lower-case letters, digits, -",
    ),
  domain: list,
  rootAccessKey: z.string(),
  rootSecretKey: z.string().transform((text) => new Secret(text)),
  trustedProxies: list,
  lifecycleDay: duration,
  lifecycleInterval: duration,
  stallTimeout: duration,
  defaultObjectOwnership: z.enum(["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"]),
  inlineBytes: autoOrNumber("number of bytes", 0, MAX_INLINE_BYTES),
  objectEngine: z.enum(["local", "s3"]),
  ...s3UpstreamKeys,
};

type Key = keyof typeof objectStoreKeys;
type Parsed = { [K in Key]: z.infer<(typeof objectStoreKeys)[K]> };

export const OBJECT_STORE_DEFAULTS = {
  s3Enabled: true,
  s3Listen: "127.0.0.1:9000",
  workers: "auto",
  tlsCert: "",
  tlsKey: "",
  region: "us-east-1",
  domain: "",
  rootAccessKey: "",
  rootSecretKey: "",
  trustedProxies: "",
  lifecycleDay: "24h",
  lifecycleInterval: "",
  stallTimeout: "60s",
  defaultObjectOwnership: "ObjectWriter",
  inlineBytes: "auto",
  objectEngine: "local",
  ...S3_UPSTREAM_DEFAULTS,
} satisfies Record<Key, unknown>;

/** What the S3 gateway is configured with, checked and ready for use. */
export interface ObjectStoreConfig {
  /** Whether `granary up` serves S3. */
  readonly s3Enabled: boolean;
  /** HOST:PORT; port 0 takes a free one. */
  readonly s3Listen: string;
  /** How many worker processes; of "auto", as many as this process may use cores. */
  readonly workers: number;
  /** Absolute paths of PEM files; both or neither. "" for plain HTTP. */
  readonly tlsCert: string;
  readonly tlsKey: string;
  readonly region: string;
  /** Lower case, for virtual-hosted style. */
  readonly domains: readonly string[];
  /** Undefined: a random pair is made at the first start. */
  readonly rootCredentials: { readonly accessKey: string; readonly secretKey: Secret } | undefined;
  /** IP addresses, and networks as ADDRESS/BITS. */
  readonly trustedProxies: readonly string[];
  readonly lifecycleDayMs: number;
  /** How often the lifecycle worker looks; a 24th of the day unless it is set. */
  readonly lifecycleIntervalMs: number;
  /** A connection on which nothing moves for so long, in the middle of a request, is ended. */
  readonly stallMs: number;
  readonly defaultObjectOwnership: "BucketOwnerEnforced" | "BucketOwnerPreferred" | "ObjectWriter";
  /** Undefined: the engine's own. */
  readonly inlineBytes: number | undefined;
  /** Where objects are: on this host, or upstream. */
  readonly objectEngine: "local" | "s3";
  /** There with objectEngine s3, and wherever its endpoint is given. */
  readonly s3Upstream: S3UpstreamConfig | undefined;
}

/**
 * What one key alone cannot tell.
 *
 * @throws StorageError invalid-argument naming the key, never with a secret in it
 */
export function objectStoreConfig(parsed: Parsed): ObjectStoreConfig {
  const { s3Enabled, s3Listen, region, defaultObjectOwnership, inlineBytes } = parsed;
  checkListen(s3Listen);
  if ((parsed.tlsCert === "") !== (parsed.tlsKey === ""))
    throw invalid("config: tlsCert and tlsKey go together: set both for HTTPS, or neither for HTTP");
  const lifecycleDayMs = durationMs("lifecycleDay", parsed.lifecycleDay);
  const everyMs = Math.max(1000, Math.round(lifecycleDayMs / 24));
  return {
    s3Enabled,
    s3Listen,
    workers: parsed.workers ?? availableParallelism(),
    tlsCert: parsed.tlsCert && resolve(parsed.tlsCert),
    tlsKey: parsed.tlsKey && resolve(parsed.tlsKey),
    region,
    domains: parsed.domain.map(checkDomain),
    rootCredentials: rootCredentials(parsed),
    trustedProxies: parsed.trustedProxies.map(checkProxy),
    lifecycleDayMs,
    lifecycleIntervalMs:
      parsed.lifecycleInterval === "" ? everyMs : durationMs("lifecycleInterval", parsed.lifecycleInterval),
    stallMs: durationMs("stallTimeout", parsed.stallTimeout),
    defaultObjectOwnership,
    inlineBytes,
    objectEngine: parsed.objectEngine,
    s3Upstream: s3UpstreamConfig(parsed, parsed.objectEngine === "s3"),
  };
}

function rootCredentials({ rootAccessKey: accessKey, rootSecretKey: secretKey }: Parsed) {
  const secret = secretKey.reveal();
  if (accessKey === "" && secret === "") return undefined;
  if (accessKey === "" || secret === "") {
    const missing =
      accessKey === "" ? "rootAccessKey (GRANARY_ROOT_ACCESS_KEY)" : "rootSecretKey (GRANARY_ROOT_SECRET_KEY)";
    throw invalid(
      `config: ${missing} is missing: set both for root credentials of your own, or neither for random ones`,
    );
  }
  checkAccessKey("config: rootAccessKey (GRANARY_ROOT_ACCESS_KEY)", accessKey);
  checkSecretKey("config: rootSecretKey (GRANARY_ROOT_SECRET_KEY)", secret);
  return Object.freeze({ accessKey, secretKey });
}

function checkListen(address: string): void {
  const port = /^(?:\[[0-9a-fA-F:.]+\]|[^:[\]\s/]+):(\d{1,5})$/.exec(address)?.[1];
  if (port === undefined || Number(port) > 65_535)
    throw invalid(
      `config: s3Listen (GRANARY_S3_LISTEN): ${JSON.stringify(address)} must be HOST:PORT, for example 0.0.0.0:9000`,
    );
}

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

function checkDomain(text: string): string {
  const domain = text.toLowerCase();
  if (domain.length > 253 || isIP(domain) !== 0 || !domain.split(".").every((label) => LABEL.test(label)))
    throw invalid(
      `config: domain (GRANARY_DOMAIN): ${JSON.stringify(text.slice(0, 64))} is not a domain name; buckets become BUCKET.DOMAIN`,
    );
  return domain;
}

function checkProxy(text: string): string {
  const [address = "", bits, ...more] = text.split("/");
  const family = isIP(address);
  const most = family === 6 ? 128 : 32;
  const fits = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most);
  if (family === 0 || !fits || more.length > 0)
    throw invalid(
      `config: trustedProxies (GRANARY_TRUSTED_PROXIES): ${JSON.stringify(text.slice(0, 64))} is not an address or network; use for example 10.0.0.7 or 10.0.0.0/8`,
    );
  return text;
}

function durationMs(key: string, text: string): number {
  const ms = parseDurationMs(`config: ${key}`, text);
  if (ms < 1 || ms > MAX_TIMER_MS) throw invalid(`config: ${key}: ${text} must be from 1ms to 24d`);
  return ms;
}
