/**
 * What `granary doctor` looks at of an upstream: whether it answers and takes the credentials, and whether each bucket has
 * both its record and its bucket upstream. Reads only.
 */
import type { Logger } from "pino";
import { messageOf, StorageError } from "../../errors/storage-error.js";
import type { Finding } from "../../model/finding.js";
import type { Context } from "../types.js";
import { reservedBucket, upstreamBucket } from "./bucket-book.js";
import { textOf, UpstreamClient, type UpstreamSettings } from "./client.js";
import { bucketDocument, bucketKey, bucketNameOf } from "./state/bucket-document.js";
import { Documents } from "./state/documents.js";

export interface UpstreamReport {
  findings: Finding[];
  /** Buckets of ours. */
  buckets: number;
}

/** Longer than a bucket's creation or deletion takes. */
const STUCK_MS = 60_000;

export async function checkUpstream(
  settings: UpstreamSettings,
  options: { signal: AbortSignal; log: Logger },
): Promise<UpstreamReport> {
  const client = new UpstreamClient(settings);
  const ctx: Context = { ...options, requestId: "doctor" };
  try {
    const there = await upstreamNames(ctx, client);
    if (!there.has(reservedBucket(settings.prefix))) return { findings: [neverUsed(settings)], buckets: 0 };
    return await compare(ctx, client, there);
  } catch (error) {
    return { findings: [unreachable(settings, error)], buckets: 0 };
  } finally {
    client.close();
  }
}

/** Names of the credentials' own buckets that begin with the prefix. */
async function upstreamNames(ctx: Context, client: UpstreamClient): Promise<Set<string>> {
  const text = await textOf(await client.expect(ctx, { method: "GET" }, 200));
  const names = [...text.matchAll(/<Name>([^<]*)<\/Name>/g)].map(([, name = ""]) => name);
  return new Set(names.filter((name) => name.startsWith(client.settings.prefix)));
}

async function compare(ctx: Context, client: UpstreamClient, there: Set<string>): Promise<UpstreamReport> {
  const { prefix } = client.settings;
  const documents = new Documents(client, reservedBucket(prefix));
  const findings: Finding[] = [];
  const recorded = new Set([reservedBucket(prefix)]);
  for (let after = "", truncated = true; truncated; ) {
    const page = await documents.list(ctx, bucketKey(""), after);
    for (const { key, sizeBytes } of page.entries) {
      if (sizeBytes === 0) continue;
      const name = bucketNameOf(key);
      recorded.add(upstreamBucket(prefix, name));
      const finding = await checkBucket(ctx, documents, name, there.has(upstreamBucket(prefix, name)));
      if (finding) findings.push(finding);
    }
    truncated = page.truncated;
    after = page.entries.at(-1)?.key ?? "";
  }
  for (const name of there) if (!recorded.has(name)) findings.push(unrecorded(name));
  return { findings, buckets: recorded.size - 1 };
}

async function checkBucket(
  ctx: Context,
  documents: Documents,
  name: string,
  there: boolean,
): Promise<Finding | undefined> {
  const read = await documents.readAll(ctx, bucketKey(name));
  const document = bucketDocument(read, name);
  if (!document) return undefined;
  const { state } = document;
  if (state === "creating" || state === "deleting") {
    if (read.ageMs < STUCK_MS) return undefined;
    const what = `it has been ${state} for ${Math.round(read.ageMs / 1000)} s: its gateway died at it`;
    const next =
      "creating or deleting a bucket of this name finishes it: granary bucket delete, or a client's CreateBucket";
    return { severity: "warning", check: "bucket-unfinished", where: name, what, next };
  }
  if (there) return undefined;
  const what = "its record is there, and its bucket upstream is not: every request to its objects fails";
  return {
    severity: "error",
    check: "bucket-missing",
    where: name,
    what,
    next: "restore the upstream's bucket, or delete this one",
  };
}

const unrecorded = (name: string): Finding => ({
  severity: "warning",
  check: "bucket-unrecorded",
  where: name,
  what: "an upstream bucket with Granary's prefix that no record names: nobody is served from it",
  next: "empty, it is taken when a bucket of this name is created; else move its objects away and remove it upstream",
});

const neverUsed = ({ endpoint, prefix }: UpstreamSettings): Finding => ({
  severity: "warning",
  check: "upstream-unused",
  where: endpoint,
  what: `it answers, and has no bucket ${reservedBucket(prefix)}: no gateway has started on it with this prefix`,
  next: "start granary objectstore --engine s3, or correct s3Upstream.prefix",
});

function unreachable({ endpoint }: UpstreamSettings, error: unknown): Finding {
  const isRefused = error instanceof StorageError && error.code === "failed-precondition";
  return {
    severity: "error",
    check: isRefused ? "upstream-refuses" : "upstream-unavailable",
    where: endpoint,
    what: messageOf(error),
    next: isRefused
      ? "correct s3Upstream's accessKey and secretKey, and what their user may do upstream"
      : "start the upstream, or correct s3Upstream.endpoint; gateways answer 503 until then",
  };
}
