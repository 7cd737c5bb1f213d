import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, StorageError } from "../errors/storage-error.js";
import { readIfPresent, removeDurably, writeDurably } from "../os/durable-file.js";
import type { LockOptions } from "../runtime/process-lock.js";
import { KINDS, kindInfo } from "./kinds.js";
import type { AnyObject, EventRecord, Kind, ObjectOf, ObjectStore } from "./objects.js";
import { lockObjects } from "./store-lock.js";

export type OpenOptions = { lock: false } | ({ lock: true } & LockOptions);

export interface OpenedObjectStore extends ObjectStore {
  /** Gives the lock back. */
  close(): Promise<void>;
}

const MAX_EVENTS = 50;
const EVENTS = ".events";
const OBJECT = ".json";

/**
 * The objects of a data dir, one file each: `objects/KIND/NAMESPACE or _/NAME.json`, its events beside it in
 * `NAME.events`. Every write replaces a whole file, so a reader needs no lock; a writer takes the store's.
 *
 * @throws StorageError failed-precondition naming a file that is no object, or when another command holds the lock
 */
export async function openObjectStore(dataDir: string, options: OpenOptions): Promise<OpenedObjectStore> {
  const root = join(dataDir, "objects");
  const release = options.lock ? await lockObjects(root, options) : async () => {};
  try {
    const store = new FileObjectStore(root, options.lock, release);
    await store.load();
    return store;
  } catch (error) {
    await release();
    throw error;
  }
}

const keyOf = (kind: Kind, namespace: string, name: string) => `${kind}/${namespace || "_"}/${fileStem(name)}`;

// A name may have 253 characters, a file's name 255 bytes with its endings. "~" is in no object's name.
const MAX_STEM = 200;
function fileStem(name: string): string {
  if (name.length <= MAX_STEM) return name;
  return `${name.slice(0, 100)}~${createHash("sha256").update(name).digest("hex")}`;
}

class FileObjectStore implements OpenedObjectStore {
  readonly #objects = new Map<string, AnyObject>();
  readonly #events = new Map<string, EventRecord[]>();

  constructor(
    readonly root: string,
    readonly writable: boolean,
    readonly close: () => Promise<void>,
  ) {}

  async load(): Promise<void> {
    for (const { kind } of KINDS) {
      for (const folder of await namesIn(join(this.root, kind))) {
        const names = await namesIn(join(this.root, kind, folder));
        for (const file of names.filter((name) => name.endsWith(OBJECT)))
          await this.#loadObject(kind, folder, file.slice(0, -OBJECT.length));
      }
    }
  }

  async #loadObject(kind: Kind, folder: string, stem: string): Promise<void> {
    const key = `${kind}/${folder}/${stem}`;
    const path = join(this.root, `${key}${OBJECT}`);
    const object = await readJson(path);
    // Removed since the folder was read: another command deleted it.
    if (object === undefined) return;
    const namespace = kindInfo(kind).namespaced ? folder : "";
    if (!isObject(object, kind, namespace, stem)) throw garbage(path, `it does not hold the ${kind} ${stem}`);
    this.#objects.set(key, object);
    const events = await readJson(join(this.root, `${key}${EVENTS}`));
    if (events === undefined) return;
    if (!isEvents(events)) throw garbage(join(this.root, `${key}${EVENTS}`), "it does not hold events");
    this.#events.set(key, events);
  }

  list<K extends Kind>(kind: K): ObjectOf[K][] {
    const found = [...this.#objects].filter(([key]) => key.startsWith(`${kind}/`));
    found.sort(([a], [b]) => (a < b ? -1 : 1));
    return found.map(([, object]) => object as ObjectOf[K]);
  }

  get<K extends Kind>(kind: K, namespace: string, name: string): ObjectOf[K] | undefined {
    return this.#objects.get(keyOf(kind, namespace, name)) as ObjectOf[K] | undefined;
  }

  async put(object: AnyObject): Promise<void> {
    this.#mustWrite();
    const key = this.#key(object);
    await writeDurably(join(this.root, `${key}${OBJECT}`), `${JSON.stringify(object, null, 2)}\n`);
    this.#objects.set(key, object);
  }

  async remove(object: AnyObject): Promise<void> {
    this.#mustWrite();
    const key = this.#key(object);
    if (!this.#objects.has(key)) return;
    await removeDurably(join(this.root, `${key}${EVENTS}`));
    await removeDurably(join(this.root, `${key}${OBJECT}`));
    this.#objects.delete(key);
    this.#events.delete(key);
  }

  async event(object: AnyObject, type: EventRecord["type"], reason: string, message: string): Promise<void> {
    this.#mustWrite();
    const key = this.#key(object);
    // An event about what is gone would stay behind as an orphan, and greet the next object of that name.
    if (!this.#objects.has(key)) return;
    const now = new Date().toISOString();
    const before = this.#events.get(key) ?? [];
    const same = before.find((e) => e.type === type && e.reason === reason && e.message === message);
    const record = {
      type,
      reason,
      message,
      firstTimestamp: now,
      ...same,
      count: (same?.count ?? 0) + 1,
      lastTimestamp: now,
    };
    const after = [...before.filter((e) => e !== same), record].slice(-MAX_EVENTS);
    await writeDurably(join(this.root, `${key}${EVENTS}`), JSON.stringify(after));
    this.#events.set(key, after);
  }

  /** The one that happened last comes last. */
  events(object: AnyObject): EventRecord[] {
    return [...(this.#events.get(this.#key(object)) ?? [])];
  }

  #key({ kind, metadata: { namespace, name } }: AnyObject): string {
    // The schema has checked both; a path that leaves the folder would still be the worst outcome.
    for (const part of [namespace, name]) {
      if (part.includes("/") || part.includes("\0") || part === "." || part === "..")
        throw new StorageError("internal", `${JSON.stringify(part)} cannot name a file`);
    }
    return keyOf(kind, namespace, name);
  }

  #mustWrite(): void {
    if (!this.writable) throw new StorageError("internal", "the object store was opened for reading only");
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return [];
    if (code === "ENOTDIR") throw garbage(folder, "it is a file where a folder belongs");
    throw error;
  }
}

async function readJson(path: string): Promise<unknown> {
  let text: string | undefined;
  try {
    text = await readIfPresent(path);
    return text === undefined ? undefined : JSON.parse(text);
  } catch (error) {
    throw garbage(path, messageOf(error));
  }
}

function isObject(value: unknown, kind: Kind, namespace: string, stem: string): value is AnyObject {
  const object = value as Partial<AnyObject> | null;
  const meta = object?.metadata;
  return (
    object?.kind === kind &&
    typeof meta?.name === "string" &&
    fileStem(meta.name) === stem &&
    meta.namespace === namespace &&
    typeof meta.uid === "string" &&
    Array.isArray(meta.finalizers) &&
    typeof meta.labels === "object" &&
    typeof meta.annotations === "object"
  );
}

function isEvents(value: unknown): value is EventRecord[] {
  return Array.isArray(value) && value.every((event) => typeof (event as EventRecord | null)?.reason === "string");
}

function garbage(path: string, why: string): StorageError {
  return new StorageError(
    "failed-precondition",
    `${path} is not what granary wrote: ${why}; move it away or restore it`,
  );
}
