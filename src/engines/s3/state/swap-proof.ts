import { randomBytes } from "node:crypto";
import { StorageError } from "../../../errors/storage-error.js";
import type { Context } from "../../types.js";
import { ABSENT, type Documents } from "./documents.js";

const RACERS = 8;
const PROOF = "{}";

/**
 * Proves, before anything is served, that the upstream lets one of many conditional PUTs through: all that gateways change
 * side by side rests on it.
 *
 * @throws StorageError failed-precondition that says what the upstream does instead
 */
export async function proveSwap(ctx: Context, documents: Documents): Promise<void> {
  const key = `proof/${randomBytes(12).toString("hex")}`;
  try {
    const made = await race(ctx, documents, key, ABSENT);
    if (made.length !== 1) throw unfit(documents, "If-None-Match: *", made.length);
    const changed = await race(ctx, documents, key, made[0] ?? "");
    if (changed.length !== 1) throw unfit(documents, "If-Match", changed.length);
    if ((await documents.swap(ctx, key, made[0] ?? "", PROOF)) !== undefined)
      throw unfit(documents, "an old If-Match", 1);
  } finally {
    await documents.remove(ctx, key).catch(() => undefined);
  }
}

async function race(ctx: Context, documents: Documents, key: string, expected: string): Promise<string[]> {
  const tries = Array.from({ length: RACERS }, () => documents.swap(ctx, key, expected, PROOF));
  return (await Promise.all(tries)).filter((etag) => etag !== undefined);
}

const unfit = (documents: Documents, what: string, count: number) =>
  new StorageError(
    "failed-precondition",
    `the upstream ${documents.client.settings.endpoint} let ${count} of ${RACERS} writes with ${what} through where one is right: it has no conditional PUT, which Granary needs (Ceph 16 and later, Amazon S3 and MinIO have it)`,
  );
