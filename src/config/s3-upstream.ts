import { z } from "zod";
import { invalid } from "../errors/storage-error.js";
import { nearest } from "../model/nearest.js";
import { Secret } from "../model/secret.js";

/** The upstream S3 service, as people write it: flat here, a map `s3Upstream` in the config file. */
export const s3UpstreamKeys = {
  s3UpstreamEndpoint: z.string(),
  s3UpstreamAccessKey: z.string(),
  s3UpstreamSecretKey: z.string().transform((text) => new Secret(text)),
  s3UpstreamRegion: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, "must be the upstream's region, for example us-east-1"),
  s3UpstreamPrefix: z
    .string()
    .regex(
      /^[a-z0-9][a-z0-9-]{1,39}$/,
      "must be 2 to 40 lower-case letters, digits and hyphens: what upstream buckets begin with",
    ),
};

export const S3_UPSTREAM_DEFAULTS = {
  s3UpstreamEndpoint: "",
  s3UpstreamAccessKey: "",
  s3UpstreamSecretKey: "",
  s3UpstreamRegion: "us-east-1",
  s3UpstreamPrefix: "granary-",
} satisfies Record<keyof typeof s3UpstreamKeys, string>;

export interface S3UpstreamConfig {
  /** `http://HOST:PORT` or `https://HOST:PORT`, and no more. */
  readonly endpoint: string;
  readonly accessKey: string;
  readonly secretKey: Secret;
  readonly region: string;
  /** Before the name of each bucket upstream. */
  readonly prefix: string;
}

const MAP = "s3Upstream";
const FIELDS = {
  endpoint: "Endpoint",
  accessKey: "AccessKey",
  secretKey: "SecretKey",
  region: "Region",
  prefix: "Prefix",
};

/** The file's `s3Upstream: {endpoint: ...}` as `s3UpstreamEndpoint: ...`. */
export function flattened(path: string, raw: Record<string, unknown>): Record<string, unknown> {
  if (!(MAP in raw)) return raw;
  const { [MAP]: map, ...rest } = raw;
  if (typeof map !== "object" || map === null || Array.isArray(map))
    throw invalid(`config: ${path}: ${MAP} must hold keys and values: ${Object.keys(FIELDS).join(", ")}`);
  for (const [field, value] of Object.entries(map)) {
    if (!Object.hasOwn(FIELDS, field))
      throw invalid(
        `config: ${path}: ${MAP}: unknown key ${JSON.stringify(field)}; did you mean ${JSON.stringify(nearest(field, Object.keys(FIELDS)))}?`,
      );
    rest[`${MAP}${FIELDS[field as keyof typeof FIELDS]}`] = value;
  }
  return rest;
}

type Parsed = { [K in keyof typeof s3UpstreamKeys]: z.infer<(typeof s3UpstreamKeys)[K]> };

/**
 * Undefined where no upstream is named and none is needed.
 *
 * @throws StorageError invalid-argument naming the field, never with the secret in it
 */
export function s3UpstreamConfig(parsed: Parsed, isNeeded: boolean): S3UpstreamConfig | undefined {
  const { s3UpstreamEndpoint: endpoint, s3UpstreamAccessKey: accessKey, s3UpstreamSecretKey: secretKey } = parsed;
  if (endpoint === "" && !isNeeded) return undefined;
  if (endpoint === "") throw missing("endpoint", "ENDPOINT", "for example http://rgw.example.com:7480");
  checkEndpoint(endpoint);
  if (accessKey === "") throw missing("accessKey", "ACCESS_KEY", "an access key of one upstream user");
  if (secretKey.reveal() === "") throw missing("secretKey", "SECRET_KEY", "the access key's secret");
  const { s3UpstreamRegion: region, s3UpstreamPrefix: prefix } = parsed;
  return Object.freeze({ endpoint: endpoint.replace(/\/$/, ""), accessKey, secretKey, region, prefix });
}

const missing = (field: string, variable: string, right: string) =>
  invalid(`config: ${MAP}.${field} (GRANARY_S3_UPSTREAM_${variable}) is missing: ${right}`);

function checkEndpoint(text: string): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isPlain = url && (url.protocol === "http:" || url.protocol === "https:") && url.username === "";
  if (!isPlain || url.pathname !== "/" || url.search !== "" || url.hash !== "")
    throw invalid(
      `config: ${MAP}.endpoint (GRANARY_S3_UPSTREAM_ENDPOINT): must be http://HOST:PORT or https://HOST:PORT, and no more`,
    );
}
