import { Command } from "commander";
import { StorageError } from "../errors/storage-error.js";
import { migrateVolume, type VolumeProgress } from "../manifests/migrate-volume/migrate-volume.js";
import { openObjectStore } from "../manifests/object-store.js";
import { openSession, reconcile } from "../manifests/reconcile.js";
import { parseDurationMs } from "../model/duration.js";
import { showSize } from "../model/size.js";
import { exec } from "../os/exec.js";
import { CsiClient } from "../runtime/csi-client.js";
import { findServers } from "../runtime/server-file.js";
import { clientConfig, connect, interruptSignal, type ObjectFlags } from "./object-flags.js";
import { stderrProgress } from "./progress.js";

interface VolumeFlags extends ObjectFlags {
  to: string;
  keepSource?: true;
  timeout: string;
}

const HELP = `
Copies what a snapshot of the volume holds, verifies it, and gives the claim the copy. Pods that use the volume meanwhile
are no hindrance: the first run then only copies, and says so. Delete the pods and run it again: what changed since is
copied, all of it is compared once more, and the claim has its new volume. So the pods' stop is short.

The claim keeps its name, and gets the new class's. The old volume is reclaimed as its own policy says. Its snapshots stay
where it was. Other granary commands that change objects wait while this one runs.

Examples:
  granary migrate volume data --to ceph
  granary migrate volume data --to ceph -n production --keep-source`;

/** `granary migrate volume CLAIM --to CLASS`. */
export function migrateVolumeCommand(): Command {
  return new Command("volume")
    .description("move a claim's volume to another storage class, and so to another engine")
    .argument("<claim>", "the PersistentVolumeClaim's name, which stays")
    .requiredOption("--to <class>", "the StorageClass that it goes to")
    .option("--keep-source", "keep the old volume, Released, whatever its reclaim policy")
    .option("-n, --namespace <name>", "the namespace", "default")
    .option("--config <file>", "YAML config file")
    .option("--data-dir <dir>", "the server's data dir (default /var/lib/granary)")
    .option("--csi-endpoint <endpoint>", "unix:///path.sock of the running server (default: found by the data dir)")
    .option("--timeout <duration>", "how long the copy may take in all", "24h")
    .addHelpText("after", HELP)
    .action(migrate);
}

async function migrate(claimName: string, flags: VolumeFlags): Promise<void> {
  const config = clientConfig(flags);
  const timeoutMs = parseDurationMs("--timeout", flags.timeout);
  const csi = await connect(config, flags);
  const metadata = new CsiClient(
    flags.csiEndpoint ?? (await findServers(config.dataDir)).controller ?? config.csiEndpoint,
  );
  const signal = interruptSignal();
  const progress = stderrProgress();
  const lock = { lock: true, timeoutMs: 120_000, onWait: progress.show, signal } as const;
  try {
    const store = await openObjectStore(config.dataDir, lock);
    try {
      const options = { dataDir: config.dataDir, timeoutMs, signal, progress: () => {} };
      const outcome = await migrateVolume({
        ...{ session: await openSession(store, csi, options), metadata, exec, claimName },
        ...{ namespace: flags.namespace, to: flags.to, keepSource: flags.keepSource === true },
        onProgress: (now) => progress.show(progressLine(now)),
      });
      progress.clear();
      if (outcome.type === "in-use")
        throw new StorageError(
          "failed-precondition",
          `${showSize(BigInt(outcome.copiedBytes))} copied and verified, and the volume is in use by ${outcome.by}: delete that and run this again, and what changed since is copied`,
        );
      // Reclaims the old volume.
      await reconcile(store, csi, { ...options, timeoutMs: 60_000 });
      const { volume, copiedBytes, verifiedBytes } = outcome;
      process.stdout.write(
        `persistentvolumeclaim/${claimName} migrated to ${flags.to}, volume ${volume}: ${showSize(BigInt(copiedBytes))} copied now, ${showSize(BigInt(verifiedBytes))} verified\n`,
      );
    } finally {
      await store.close();
    }
  } finally {
    progress.clear();
    metadata.close();
    csi.close();
  }
}

function progressLine({ step, bytes, totalBytes }: VolumeProgress): string {
  const percent = totalBytes === 0 ? 100 : Math.floor((bytes / totalBytes) * 100);
  return `${step}  ${percent}%  ${showSize(BigInt(bytes))} of ${showSize(BigInt(totalBytes))}`;
}
