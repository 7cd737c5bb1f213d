import { join } from "node:path";
import type { Logger } from "pino";
import type { Config } from "../config/config.js";
import type { IdentityStore } from "../engines/identity-store.js";
import { openObjectEngine, startObjectWriter } from "../engines/local/objects/index.js";
import type { ObjectEngine } from "../engines/object-engine.js";
import { openUpstreamEngine } from "../engines/s3/engine.js";
import { NOBODY_ELSE } from "../engines/s3/state/told.js";
import { invalid, StorageError } from "../errors/storage-error.js";
import { claimObjectStore, findObjectStore } from "../runtime/server-file.js";
import { plain } from "./objectstore-engine.js";

/** The object stores that buckets move between, by the names that `--from` and `--to` take. */
export const STORES = ["local", "s3"] as const;
export type StoreName = (typeof STORES)[number];

export interface OpenStore {
  /** For people. */
  title: string;
  engine: ObjectEngine;
  identities: IdentityStore;
  close(): Promise<void>;
}

/**
 * The embedded store of a data dir: beside its server where one runs, else with a writer of our own.
 *
 * @throws StorageError unavailable while the server starts; failed-precondition when the store is another process's
 */
export async function openLocalStore(dataDir: string, log: Logger): Promise<OpenStore> {
  const dir = join(dataDir, "objects");
  const closing: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (const one of closing.splice(0).reverse()) await one();
  };
  const place = await findObjectStore(dataDir);
  if (place === "starting")
    throw new StorageError("unavailable", `the object store of ${dataDir} is starting; try again in a moment`);
  try {
    if (place === undefined) {
      const claim = await claimObjectStore(dataDir);
      closing.push(() => claim.release());
      const writer = await startObjectWriter({ dir });
      closing.push(() => writer.close());
    }
    const engine = await openObjectEngine({ dir, log });
    closing.push(() => engine.close());
    return { title: `the embedded store in ${dataDir}`, engine, identities: engine.identities, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** @throws StorageError what the store's engine throws when it cannot be reached */
export function openStore(name: StoreName, config: Config, dataDir: string, log: Logger): Promise<OpenStore> {
  switch (name) {
    case "local":
      return openLocalStore(dataDir, log);
    case "s3":
      return openUpstreamStore(config, log);
  }
}

const OPEN_MS = 30_000;

async function openUpstreamStore(config: Config, log: Logger): Promise<OpenStore> {
  const { s3Upstream } = config;
  if (!s3Upstream) throw invalid("config: s3Upstream (GRANARY_S3_UPSTREAM_ENDPOINT ...) names no upstream for s3");
  const opening = { signal: AbortSignal.timeout(OPEN_MS), requestId: "migrate", log };
  // As one more gateway beside those that serve: they learn of what is made here from the upstream.
  const options = { settings: plain(s3Upstream), told: NOBODY_ELSE, log, first: true };
  const engine = await openUpstreamEngine(opening, options);
  const { endpoint, prefix } = s3Upstream;
  return {
    title: `${endpoint}, buckets ${prefix}*`,
    ...{ engine, identities: engine.identities, close: () => engine.close() },
  };
}
