import type { Logger } from "pino";
import type { Config } from "../config/config.js";
import { StorageError } from "../errors/storage-error.js";
import { type ChildServer, startServer } from "../os/exec.js";
import { objectstoreArguments } from "./objectstore-options.js";

/** The object store of `granary up`: a process of its own, so that neither service takes the other down. */
export interface ObjectstoreChild {
  /** Its metrics in Prometheus's text format; "" while it is down. */
  metricsText(): Promise<string>;
  stop(): Promise<void>;
}

/** What the two processes say to each other. */
export type ChildMessage = { type: "ready" } | { type: "metrics"; text: string };
export type ParentMessage = { type: "metrics" };

const ASK_MS = 3_000;
// Longer than the child's own drain.
const STOP_MS = 40_000;
const BACKOFF_MS = [500, 2_000, 10_000];

/**
 * Starts `granary objectstore` with the same flags, and again whenever it ends by itself. Where S3's address is the
 * default one and taken, `up` goes on without. `stopped` ends the wait for its start.
 *
 * @throws StorageError failed-precondition when it cannot start on an address that somebody chose
 */
export async function startObjectstore(
  config: Config,
  flags: Readonly<Record<string, unknown>>,
  log: Logger,
  stopped: Promise<void>,
): Promise<ObjectstoreChild> {
  const child = new Child(flags, log, stopped);
  const failure = await child.start();
  if (failure === undefined) return child;
  if (config.explicit.has("s3Listen"))
    throw new StorageError("failed-precondition", `the object store cannot start (${failure}); see its message above`);
  log.warn(`no object store (${failure}): see its message above; --s3-listen chooses another address`);
  await child.stop();
  return child;
}

class Child implements ObjectstoreChild {
  readonly #args: string[];
  readonly #log: Logger;
  readonly #stopped: Promise<void>;
  #server: ChildServer | undefined;
  #stopping = false;
  #tries = 0;
  #asked: ((text: string) => void)[] = [];

  constructor(flags: Readonly<Record<string, unknown>>, log: Logger, stopped: Promise<void>) {
    // Its metrics are given out by this process.
    this.#args = ["objectstore", ...objectstoreArguments(flags), "--metrics-address="];
    this.#log = log;
    this.#stopped = stopped;
  }

  /** Settles when it is ready, with undefined, or has ended before, with how. */
  async start(): Promise<string | undefined> {
    const server = startServer(process.argv[1] ?? "", this.#args);
    this.#server = server;
    const ready = new Promise<undefined>((resolve) => {
      server.onMessage((message) => {
        const said = message as ChildMessage;
        if (said.type === "ready") resolve(undefined);
        else for (const answer of this.#asked.splice(0)) answer(said.text);
      });
    });
    const failure = await Promise.race([ready, server.ended, this.#stopped.then(() => undefined)]);
    if (failure !== undefined) {
      this.#server = undefined;
      return failure;
    }
    this.#tries = 0;
    void server.ended.then((how) => this.#startAgain(how));
    return undefined;
  }

  async #startAgain(how: string): Promise<void> {
    this.#server = undefined;
    if (this.#stopping) return;
    const waitMs = BACKOFF_MS[Math.min(this.#tries++, BACKOFF_MS.length - 1)] ?? 0;
    this.#log.error(`the object store ended (${how}); it starts again in ${waitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    if (this.#stopping) return;
    const failure = await this.start();
    if (failure !== undefined) await this.#startAgain(failure);
  }

  async metricsText(): Promise<string> {
    const server = this.#server;
    if (!server) return "";
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(""), ASK_MS);
      this.#asked.push((text) => {
        clearTimeout(timer);
        resolve(text);
      });
      server.send({ type: "metrics" } satisfies ParentMessage);
    });
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const server = this.#server;
    if (!server) return;
    server.terminate();
    const timer = setTimeout(() => server.kill(), STOP_MS);
    await server.ended;
    clearTimeout(timer);
  }
}
