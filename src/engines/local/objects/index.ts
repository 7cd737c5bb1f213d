import { StorageError } from "../../../errors/storage-error.js";
import type { IdentityStore } from "../../identity-store.js";
import type { ObjectEngine } from "../../object-engine.js";

export interface ObjectStoreOptions {
  /** The store's folder: metadata, bodies and the writer's socket. Made, 0700, if it is not there. */
  readonly dir: string;
  /** Bodies of up to this many bytes lie in the metadata's environment, larger ones in files. */
  readonly inlineBytes?: number;
}

export interface ObjectWriterOptions extends ObjectStoreOptions {
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
}

/**
 * Starts the writer in a thread of this process, one for a store on the whole machine. It listens on `<dir>/writer.sock`
 * when this settles.
 *
 * @throws StorageError failed-precondition when another process has the store; invalid-argument when the socket's path is too long
 */
export function startObjectWriter(_options: ObjectWriterOptions): Promise<ObjectWriter> {
  return Promise.reject(new StorageError("unimplemented", "the object writer is under way"));
}

/**
 * Opens the store in this process, beside a running writer of whatever process. Calls made while no writer listens fail
 * with unavailable, and it connects again by itself.
 */
export function openObjectEngine(_options: ObjectStoreOptions): Promise<LocalObjectEngine> {
  return Promise.reject(new StorageError("unimplemented", "the object engine is under way"));
}
