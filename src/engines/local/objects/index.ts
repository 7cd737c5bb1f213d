import { type Logger, pino } from "pino";
import type { IdentityStore } from "../../identity-store.js";
import type { ObjectEngine } from "../../object-engine.js";
import { openBodyStore } from "./bodies/body-store.js";
import { WriterClient } from "./client.js";
import { LocalEngine } from "./engine.js";
import { LocalIdentities } from "./identities.js";
import { Ingest } from "./ingest.js";
import { Pins } from "./open-object.js";
import { bodiesDir, socketPath } from "./paths.js";
import { MetadataReader } from "./reader.js";
import { type Reclaim, startReclaim } from "./reclaim.js";
import { openTables } from "./tables.js";
import { startThread } from "./writer-thread.js";

export interface ObjectStoreOptions {
  /** The store's folder: metadata, bodies and the writer's socket. Made, 0700, if it is not there. */
  readonly dir: string;
  /** Bodies of up to this many bytes lie in the metadata's environment, larger ones in files. */
  readonly inlineBytes?: number;
  /** Told of what goes on behind requests; nobody unless it is given. */
  readonly log?: Logger;
  /** Told of each damaged body that a read finds. */
  readonly onDamaged?: () => void;
}

export interface ObjectWriterOptions {
  readonly dir: string;
  /** Has the process kill itself at this step, for tests (runtime/steps). */
  readonly crashAt?: string;
}

/** The thread that alone writes metadata. */
export interface ObjectWriter {
  /** Settles, with why, when the thread has ended without close(): nothing can be written any more, so the process ends too. */
  readonly ended: Promise<Error>;
  /** Answers what is under way, and closes the environment. */
  close(): Promise<void>;
}

/** The object store as one process sees it: it reads by itself, and writes by way of the writer. */
export interface LocalObjectEngine extends ObjectEngine {
  readonly identities: IdentityStore;
  /** For one process of the store, before any other serves: everything that is open now is of processes that ended. */
  reclaim(): Reclaim;
}

// Of 4 KiB to 256 KiB objects, in the metadata and in files of their own: docs/decisions/008.
const INLINE_BYTES = 32 * 1024;
const CONNECT_MS = 10_000;

/**
 * Starts the writer in a thread of this process, one for a store on the whole machine. It listens on `<dir>/writer.sock`
 * when this settles.
 *
 * @throws StorageError failed-precondition when another process has the store; invalid-argument when the socket's path is too long
 */
export function startObjectWriter(options: ObjectWriterOptions): Promise<ObjectWriter> {
  return startThread(options);
}

/**
 * Opens the store in this process, beside a running writer of whatever process. Calls made while no writer listens fail
 * with unavailable, and it connects again by itself.
 *
 * @throws StorageError unavailable when no writer listens
 */
export async function openObjectEngine(options: ObjectStoreOptions): Promise<LocalObjectEngine> {
  const { dir, inlineBytes = INLINE_BYTES, log = pino({ level: "silent" }), onDamaged = () => undefined } = options;
  const pins = new Pins();
  const client = new WriterClient(socketPath(dir), (bodyIds) => pins.among(bodyIds));
  await client.connect(CONNECT_MS);
  const tables = openTables(dir, { readOnly: true });
  const bodies = await openBodyStore({
    dir: bodiesDir(dir),
    generations: {
      lease: () => client.call("lease", { pid: process.pid }),
      seal: async (generation) => void (await client.call("seal", { generation })),
    },
    log,
    onDamaged,
  });
  const reader = new MetadataReader(tables);
  const ingest = new Ingest(bodies, inlineBytes);
  const access = { reader, client, bodies, ingest, pins, bodiesDir: bodiesDir(dir), onDamaged };
  return Object.assign(new LocalEngine(access), {
    identities: new LocalIdentities(tables, client),
    reclaim: () => startReclaim(bodiesDir(dir), tables, client, log),
  });
}
