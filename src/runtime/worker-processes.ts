import cluster, { type Worker } from "node:cluster";
import type { Logger } from "pino";
import { messageOf, StorageError } from "../errors/storage-error.js";

/** What workers and their supervisor say to each other. `ask` and `answer` carry plain values. */
type ToWorker<Start> = { type: "start"; start: Start } | { type: "ask"; id: number } | { type: "drain" };
type FromWorker<Ready, Answer> =
  | { type: "hello" }
  | { type: "ready"; ready: Ready }
  | { type: "failed"; message: string }
  | { type: "answer"; id: number; answer: Answer };

export interface WorkerProcesses<Answer> {
  /** What each worker that answers in time says. */
  ask(timeoutMs: number): Promise<Answer[]>;
  /** Called with the process id and the last known answer of a worker that ended. */
  onEnded(listener: (pid: number, last: Answer | undefined) => void): void;
  readonly pids: readonly number[];
  /** Lets each end by itself; after `graceMs` they are killed. */
  stop(graceMs: number): Promise<void>;
}

export interface WorkerOptions<Start> {
  count: number;
  /** The argument after `main.js` that makes a process a worker. */
  command: string;
  /** Sent to each at its start; over the processes' channel, so that no secret is on a command line. */
  start: Start;
  log: Logger;
}

// A worker that cannot start must not be started in a tight loop.
const BACKOFF_MS = [100, 500, 2_000, 10_000];
const STEADY_MS = 30_000;
/** Of a worker: each sync of a file holds one for as long as the disk takes, and reads must find one beside them. */
const DISK_THREADS = "16";

/**
 * Starts worker processes that share listening sockets (node:cluster: this process accepts and deals the connections
 * out in turn), and replaces each that ends by itself. Settles when all are ready.
 *
 * @throws StorageError failed-precondition with the reason when one cannot start
 */
export async function startWorkers<Start, Ready, Answer>(
  options: WorkerOptions<Start>,
): Promise<WorkerProcesses<Answer> & { ready: Ready }> {
  const pool = new Pool<Start, Ready, Answer>(options);
  try {
    const ready = await Promise.all(Array.from({ length: options.count }, () => pool.start()));
    return Object.assign(pool, { ready: ready[0] as Ready });
  } catch (error) {
    await pool.stop(0);
    throw error;
  }
}

class Pool<Start, Ready, Answer> implements WorkerProcesses<Answer> {
  readonly #options: WorkerOptions<Start>;
  readonly #workers = new Map<number, { worker: Worker; last: Answer | undefined; startedMs: number }>();
  readonly #asked = new Map<number, (answer: Answer) => void>();
  #ended: (pid: number, last: Answer | undefined) => void = () => {};
  #nextAsk = 1;
  #quickEnds = 0;
  #stopping = false;

  constructor(options: WorkerOptions<Start>) {
    this.#options = options;
    // The program's own path; the worker's command is its first argument.
    cluster.setupPrimary({ args: [options.command], serialization: "advanced" });
  }

  get pids(): readonly number[] {
    return [...this.#workers.values()].map(({ worker }) => worker.process.pid ?? 0);
  }

  onEnded(listener: (pid: number, last: Answer | undefined) => void): void {
    this.#ended = listener;
  }

  start(): Promise<Ready> {
    const worker = cluster.fork({ UV_THREADPOOL_SIZE: DISK_THREADS });
    const state = { worker, last: undefined as Answer | undefined, startedMs: Date.now() };
    this.#workers.set(worker.id, state);
    return new Promise((resolve, reject) => {
      let isReady = false;
      worker.on("message", (message: FromWorker<Ready, Answer>) => {
        if (message.type === "hello") {
          worker.send({ type: "start", start: this.#options.start } satisfies ToWorker<Start>);
        } else if (message.type === "ready") {
          isReady = true;
          resolve(message.ready);
        } else if (message.type === "failed") {
          reject(new StorageError("failed-precondition", message.message));
        } else {
          state.last = message.answer;
          this.#asked.get(message.id)?.(message.answer);
        }
      });
      worker.on("error", (error) => this.#options.log.warn(`worker ${worker.process.pid}: ${messageOf(error)}`));
      worker.on("exit", (code, signal) => {
        this.#workers.delete(worker.id);
        reject(
          new StorageError("failed-precondition", `a worker ended at its start (${signal ?? `exit code ${code}`})`),
        );
        if (isReady) {
          this.#ended(worker.process.pid ?? 0, state.last);
          this.#replace(state.startedMs, signal ?? `exit code ${code}`);
        }
      });
    });
  }

  #replace(startedMs: number, how: string): void {
    if (this.#stopping) return;
    this.#quickEnds = Date.now() - startedMs < STEADY_MS ? this.#quickEnds + 1 : 0;
    const waitMs = this.#quickEnds === 0 ? 0 : (BACKOFF_MS[Math.min(this.#quickEnds, BACKOFF_MS.length) - 1] ?? 0);
    this.#options.log.error(`a worker ended (${how}); another starts in ${waitMs} ms`);
    setTimeout(() => {
      if (this.#stopping) return;
      const startedAgainMs = Date.now();
      this.start().catch((error: unknown) => this.#replace(startedAgainMs, messageOf(error)));
    }, waitMs);
  }

  async ask(timeoutMs: number): Promise<Answer[]> {
    const answers = await Promise.all(
      [...this.#workers.values()].map(
        ({ worker }) =>
          new Promise<Answer | undefined>((resolve) => {
            const id = this.#nextAsk++;
            const settle = (answer: Answer | undefined) => {
              clearTimeout(timer);
              this.#asked.delete(id);
              resolve(answer);
            };
            const timer = setTimeout(() => settle(undefined), timeoutMs);
            this.#asked.set(id, settle);
            if (worker.isConnected()) worker.send({ type: "ask", id } satisfies ToWorker<Start>);
            else settle(undefined);
          }),
      ),
    );
    return answers.filter((answer) => answer !== undefined);
  }

  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    const all = [...this.#workers.values()].map(({ worker }) => {
      const ended = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
      if (worker.isDead()) return Promise.resolve();
      if (worker.isConnected()) worker.send({ type: "drain" } satisfies ToWorker<Start>);
      const timer = setTimeout(() => worker.process.kill("SIGKILL"), graceMs);
      return ended.finally(() => clearTimeout(timer));
    });
    await Promise.all(all);
  }
}

export interface WorkerRole<Start, Ready, Answer> {
  start(start: Start): Promise<Ready>;
  answer(): Answer;
  drain(): Promise<void>;
}

/** The worker's side: does what the supervisor says, and ends at once when the supervisor is gone. */
export function serveAsWorker<Start, Ready, Answer>(role: WorkerRole<Start, Ready, Answer>): void {
  const send = (message: FromWorker<Ready, Answer>) => {
    if (process.connected) process.send?.(message);
  };
  process.on("disconnect", () => process.exit(0));
  // Ctrl-C goes to the whole group of a terminal: the supervisor decides when its workers end.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => {});
  process.on("message", (message: ToWorker<Start>) => {
    switch (message.type) {
      case "start":
        role.start(message.start).then(
          (ready) => send({ type: "ready", ready }),
          (error: unknown) => send({ type: "failed", message: messageOf(error) }),
        );
        return;
      case "ask":
        send({ type: "answer", id: message.id, answer: role.answer() });
        return;
      case "drain":
        void role.drain().finally(() => process.exit(0));
    }
  });
  // What is sent before this process listens is lost.
  send({ type: "hello" });
}
