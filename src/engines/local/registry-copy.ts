import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StorageError } from "../../errors/storage-error.js";
import type { Snapshot, SnapshotGroup, Volume } from "../../model/volume.js";
import { type Intent, Registry } from "./registry.js";

/** All that the registry holds, at one moment. */
export interface RegistryContents {
  /** The pool that the volumes lie in, by its marker's UUID; "" before the first start. */
  poolUuid: string;
  volumes: Volume[];
  snapshots: Snapshot[];
  groups: SnapshotGroup[];
  names: { key: string; id: string }[];
  intents: { key: string; intent: Intent }[];
}

const ATTEMPTS = 50;
// LMDB's two meta pages, one of which changes with every commit; no page is larger than 64 KiB.
const META_BYTES = 128 * 1024;

/**
 * Reads the registry without touching its folder: even a read-only opening writes to LMDB's lock file. So the data file
 * is copied elsewhere and read there; a copy during which a commit fell is thrown away.
 *
 * @returns undefined when there is no registry
 */
export async function readRegistryCopy(registryDir: string): Promise<RegistryContents | undefined> {
  const data = join(registryDir, "data.mdb");
  const present = await fs.stat(data).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw error;
  });
  if (!present) return undefined;
  const copyDir = await fs.mkdtemp(join(tmpdir(), "granary-doctor-"));
  try {
    await copyQuiet(data, join(copyDir, "data.mdb"));
    const registry = new Registry(copyDir, { readOnly: true });
    try {
      return {
        poolUuid: registry.poolUuid,
        volumes: registry.volumes(),
        snapshots: registry.snapshots(),
        groups: registry.groups(),
        names: registry.names(),
        intents: registry.intents(),
      };
    } finally {
      await registry.close();
    }
  } finally {
    await fs.rm(copyDir, { recursive: true, force: true });
  }
}

async function copyQuiet(from: string, to: string): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const before = await metaOf(from);
    await fs.copyFile(from, to);
    if (before.equals(await metaOf(from))) return;
  }
  throw new StorageError(
    "unavailable",
    "the registry changes all the time: run granary doctor again when it is calmer",
  );
}

async function metaOf(path: string): Promise<Buffer> {
  const file = await fs.open(path, "r");
  try {
    const buffer = Buffer.alloc(META_BYTES);
    const { bytesRead } = await file.read(buffer, 0, META_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
