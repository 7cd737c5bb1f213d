import { type Database, open, type RootDatabase } from "lmdb";
import type { Snapshot, SnapshotGroup, Volume } from "../../model/volume.js";

/**
 * A step recorded before it is taken. `create-snapshots` rolls back (the caller was told nothing yet); `delete-*` and
 * `expand-volume` roll forward (what they were asked for is asked for again, or is done).
 */
export type Intent =
  /** The volume is being copied, and its file system may be frozen. */
  | { op: "copy-volume"; volumeId: string }
  | { op: "delete-volume"; volumeId: string }
  | { op: "expand-volume"; volumeId: string; capacityBytes: bigint }
  | { op: "create-snapshots"; snapshotIds: readonly string[]; volumeIds: readonly string[] }
  | { op: "delete-snapshots"; snapshotIds: readonly string[] };

/**
 * The local engine's record of what exists. One LMDB environment, opened by the controller alone; every write is on
 * disk before its promise settles.
 */
export class Registry {
  readonly #root: RootDatabase<string, string>;
  readonly #volumes: Database<string, string>;
  readonly #snapshots: Database<string, string>;
  readonly #groups: Database<string, string>;
  readonly #names: Database<string, string>;
  readonly #intents: Database<string, string>;
  readonly #meta: Database<string, string>;
  #committedBytes: bigint;

  /** `readOnly` looks beside a running server, and changes nothing. */
  constructor(path: string, { readOnly = false }: { readOnly?: boolean } = {}) {
    // Without overlappingSync a commit's promise means "synced", which acknowledgement needs.
    this.#root = open({ path, encoding: "string", overlappingSync: false, maxDbs: 8, noSubdir: false, readOnly });
    const table = (name: string) => this.#root.openDB<string, string>({ name, encoding: "string" });
    this.#volumes = table("volumes");
    this.#snapshots = table("snapshots");
    this.#groups = table("groups");
    this.#names = table("names");
    this.#intents = table("intents");
    this.#meta = table("meta");
    this.#committedBytes = this.volumes().reduce((sum, volume) => sum + volume.capacityBytes, 0n);
  }

  /** The pool that this registry's volumes lie in, or "" before the first start. */
  get poolUuid(): string {
    return this.#meta.get("poolUuid") ?? "";
  }

  async setPoolUuid(uuid: string): Promise<void> {
    await this.#meta.put("poolUuid", uuid);
  }

  /** When the volume's free space was last given back to the pool; 0: never. */
  reclaimedMs(volumeId: string): number {
    return Number(this.#meta.get(reclaimedKey(volumeId)) ?? 0);
  }

  async setReclaimed(volumeId: string, ms: number): Promise<void> {
    await this.#meta.put(reclaimedKey(volumeId), String(ms));
  }

  /** The sum of all volumes' sizes, kept so that a create need not read them all. */
  get committedBytes(): bigint {
    return this.#committedBytes;
  }

  volume(id: string): Volume | undefined {
    return decode<Volume>(safeGet(this.#volumes, id));
  }

  volumeNamed(name: string): Volume | undefined {
    return this.volume(this.#names.get(`volume:${name}`) ?? "");
  }

  /** Volumes in id order, after `afterId`; a limit of 0 is none. */
  volumes(afterId = "", limit = 0): Volume[] {
    return readAll<Volume>(this.#volumes, afterId, limit);
  }

  snapshot(id: string): Snapshot | undefined {
    return decode<Snapshot>(safeGet(this.#snapshots, id));
  }

  snapshotNamed(name: string): Snapshot | undefined {
    return this.snapshot(this.#names.get(`snapshot:${name}`) ?? "");
  }

  snapshots(): Snapshot[] {
    return readAll<Snapshot>(this.#snapshots, "", 0);
  }

  group(id: string): SnapshotGroup | undefined {
    return decode<SnapshotGroup>(safeGet(this.#groups, id));
  }

  groupNamed(name: string): SnapshotGroup | undefined {
    return this.group(this.#names.get(`group:${name}`) ?? "");
  }

  groups(): SnapshotGroup[] {
    return readAll<SnapshotGroup>(this.#groups, "", 0);
  }

  /** Every name with its kind in front (`volume:db`), and the id it stands for. */
  names(): { key: string; id: string }[] {
    return [...this.#names.getRange()].map(({ key, value }) => ({ key, id: value }));
  }

  intents(): { key: string; intent: Intent }[] {
    return [...this.#intents.getRange()].map(({ key, value }) => ({ key, intent: decode<Intent>(value) as Intent }));
  }

  intent(key: string): Intent | undefined {
    return decode<Intent>(safeGet(this.#intents, key));
  }

  /** Records the intent, durably, and answers its key. */
  async begin(intent: Intent): Promise<string> {
    const key = intentKey(intent);
    await this.#intents.put(key, encode(intent));
    return key;
  }

  async end(intentId: string): Promise<void> {
    await this.#intents.remove(intentId);
  }

  async putVolume(volume: Volume, intentId?: string): Promise<void> {
    const before = this.volume(volume.id)?.capacityBytes ?? 0n;
    await this.#root.transaction(() => {
      void this.#volumes.put(volume.id, encode(volume));
      void this.#names.put(`volume:${volume.name}`, volume.id);
      if (intentId !== undefined) void this.#intents.remove(intentId);
    });
    this.#committedBytes += volume.capacityBytes - before;
  }

  async forgetVolume(volume: Volume): Promise<void> {
    await this.#root.transaction(() => {
      void this.#volumes.remove(volume.id);
      void this.#names.remove(`volume:${volume.name}`);
      void this.#meta.remove(reclaimedKey(volume.id));
    });
    this.#committedBytes -= volume.capacityBytes;
  }

  async putSnapshots(snapshots: readonly Snapshot[], group: SnapshotGroup | null, intentId: string): Promise<void> {
    await this.#root.transaction(() => {
      for (const snapshot of snapshots) {
        void this.#snapshots.put(snapshot.id, encode(snapshot));
        // A group's members are found by their group: their names are the group's, not a caller's.
        if (!group) void this.#names.put(`snapshot:${snapshot.name}`, snapshot.id);
      }
      if (group) {
        void this.#groups.put(group.id, encode(group));
        void this.#names.put(`group:${group.name}`, group.id);
      }
      void this.#intents.remove(intentId);
    });
  }

  async forgetSnapshots(snapshots: readonly Snapshot[], group: SnapshotGroup | null): Promise<void> {
    await this.#root.transaction(() => {
      for (const snapshot of snapshots) {
        void this.#snapshots.remove(snapshot.id);
        if (!group) void this.#names.remove(`snapshot:${snapshot.name}`);
      }
      if (group) {
        void this.#groups.remove(group.id);
        void this.#names.remove(`group:${group.name}`);
      }
    });
  }

  close(): Promise<void> {
    return this.#root.close();
  }
}

const reclaimedKey = (volumeId: string) => `reclaimed:${volumeId}`;

/** One operation at a time for one volume (the locks above see to it), so its id makes the key unique. */
export function intentKey(intent: Intent): string {
  return `${intent.op}:${"volumeId" in intent ? intent.volumeId : intent.snapshotIds[0]}`;
}

// LMDB refuses keys over 1978 bytes; no id of ours is that long.
function safeGet(table: Database<string, string>, id: string): string | undefined {
  return id === "" || id.length > 128 ? undefined : table.get(id);
}

function readAll<T>(table: Database<string, string>, afterId: string, limit: number): T[] {
  const range = table.getRange({
    ...(afterId === "" ? {} : { start: afterId, exclusiveStart: true }),
    ...(limit > 0 ? { limit } : {}),
  });
  return [...range].map(({ value }) => decode<T>(value) as T);
}

function encode(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => (typeof part === "bigint" ? { $bytes: String(part) } : part));
}

function decode<T>(text: string | undefined): T | undefined {
  if (text === undefined) return undefined;
  return JSON.parse(text, (_key, part: unknown) =>
    typeof part === "object" && part !== null && "$bytes" in part ? BigInt(String(part.$bytes)) : part,
  ) as T;
}
