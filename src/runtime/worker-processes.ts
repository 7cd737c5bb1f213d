import cluster, { type Worker } from "node:cluster";
import type { Logger } from "pino";
import { messageOf, StorageError } from "../errors/storage-error.js";

/** What workers and their supervisor say to each other. `ask` and `answer` carry plain values. */
type ToWorker<Start, News> =
  | { type: "start"; start: Start }
  | { type: "ask"; id: number }
  | { type: "news"; id: number; news: News }
  | { type: "told"; id: number }
  | { type: "drain" };
type FromWorker<Ready, Answer, News> =
  | { type: "hello" }
  | { type: "ready"; ready: Ready }
  | { type: "failed"; message: string }
  | { type: "answer"; id: number; answer: Answer }
  | { type: "tell"; id: number; news: News }
  | { type: "heard"; id: number };

export interface WorkerProcesses<Answer, News = never> {
  /** Tells every worker; settles when they have heard, or after a second. Never rejects. */
  tell(news: News): Promise<void>;
  /** What each worker that answers in time says. */
  ask(timeoutMs: number): Promise<Answer[]>;
  /** Called with the process id and the last known answer of a worker that ended. */
  onEnded(listener: (pid: number, last: Answer | undefined) => void): void;
  readonly pids: readonly number[];
  /** Lets each end by itself; after `graceMs` they are killed. */
  stop(graceMs: number): Promise<void>;
}

export interface WorkerOptions<Start, News> {
  /** What a worker told: the other workers are told too, and the worker knows when all have heard. */
  heard?: (news: News) => Promise<void>;
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
/** Who has not heard in this time is not waited for. */
const HEAR_MS = 1_000;
/** Of a worker: each sync of a file holds one for as long as the disk takes, and reads must find one beside them. */
const DISK_THREADS = "16";

/**
 * Starts worker processes that share listening sockets (node:cluster: this process accepts and deals the connections
 * out in turn), and replaces each that ends by itself. Settles when all are ready.
 *
 * @throws StorageError failed-precondition with the reason when one cannot start
 */
export async function startWorkers<Start, Ready, Answer, News = never>(
  options: WorkerOptions<Start, News>,
): Promise<WorkerProcesses<Answer, News> & { ready: Ready }> {
  const pool = new Pool<Start, Ready, Answer, News>(options);
  try {
    const ready = await Promise.all(Array.from({ length: options.count }, () => pool.start()));
    return Object.assign(pool, { ready: ready[0] as Ready });
  } catch (error) {
    await pool.stop(0);
    throw error;
  }
}

class Pool<Start, Ready, Answer, News> implements WorkerProcesses<Answer, News> {
  readonly #options: WorkerOptions<Start, News>;
  readonly #workers = new Map<number, { worker: Worker; last: Answer | undefined; startedMs: number }>();
  readonly #asked = new Map<number, (answer: Answer) => void>();
  readonly #hearing = new Map<number, () => void>();
  #ended: (pid: number, last: Answer | undefined) => void = () => {};
  #nextAsk = 1;
  #quickEnds = 0;
  #stopping = false;

  constructor(options: WorkerOptions<Start, News>) {
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
      worker.on("message", (message: FromWorker<Ready, Answer, News>) => {
        if (message.type === "hello") {
          worker.send({ type: "start", start: this.#options.start } satisfies ToWorker<Start, News>);
        } else if (message.type === "ready") {
          isReady = true;
          resolve(message.ready);
        } else if (message.type === "failed") {
          reject(new StorageError("failed-precondition", message.message));
        } else if (message.type === "tell") {
          void this.#passOn(worker, message.id, message.news);
        } else if (message.type === "heard") {
          this.#hearing.get(message.id)?.();
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

  tell(news: News): Promise<void> {
    return this.#tellAll(news, undefined);
  }

  async #passOn(from: Worker, id: number, news: News): Promise<void> {
    const own = this.#options.heard?.(news).catch((error: unknown) => this.#options.log.warn(messageOf(error)));
    await Promise.all([own, this.#tellAll(news, from)]);
    if (from.isConnected()) from.send({ type: "told", id } satisfies ToWorker<Start, News>);
  }

  async #tellAll(news: News, from: Worker | undefined): Promise<void> {
    const others = [...this.#workers.values()].filter(({ worker }) => worker !== from && worker.isConnected());
    await Promise.all(
      others.map(
        ({ worker }) =>
          new Promise<void>((resolve) => {
            const id = this.#nextAsk++;
            const settle = () => {
              clearTimeout(timer);
              worker.off("exit", settle);
              this.#hearing.delete(id);
              resolve();
            };
            const timer = setTimeout(settle, HEAR_MS);
            this.#hearing.set(id, settle);
            worker.once("exit", settle);
            worker.send({ type: "news", id, news } satisfies ToWorker<Start, News>);
          }),
      ),
    );
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
            if (worker.isConnected()) worker.send({ type: "ask", id } satisfies ToWorker<Start, News>);
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
      if (worker.isConnected()) worker.send({ type: "drain" } satisfies ToWorker<Start, News>);
      const timer = setTimeout(() => worker.process.kill("SIGKILL"), graceMs);
      return ended.finally(() => clearTimeout(timer));
    });
    await Promise.all(all);
  }
}

export interface WorkerRole<Start, Ready, Answer, News = never> {
  start(start: Start): Promise<Ready>;
  answer(): Answer;
  /** What another process told. Who told it waits until this settles. */
  heard?(news: News): Promise<void>;
  drain(): Promise<void>;
}

/** The worker's side: does what the supervisor says, and ends at once when the supervisor is gone. */
export function serveAsWorker<Start, Ready, Answer, News = never>(
  role: WorkerRole<Start, Ready, Answer, News>,
): { tell(news: News): Promise<void> } {
  const telling = new Map<number, () => void>();
  let nextTell = 1;
  const send = (message: FromWorker<Ready, Answer, News>) => {
    if (process.connected) process.send?.(message);
  };
  process.on("disconnect", () => process.exit(0));
  // Ctrl-C goes to the whole group of a terminal: the supervisor decides when its workers end.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => {});
  process.on("message", (message: ToWorker<Start, News>) => {
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
      case "news":
        void Promise.resolve(role.heard?.(message.news))
          .catch(() => undefined)
          .then(() => send({ type: "heard", id: message.id }));
        return;
      case "told":
        telling.get(message.id)?.();
        return;
      case "drain":
        void role.drain().finally(() => process.exit(0));
    }
  });
  // What is sent before this process listens is lost.
  send({ type: "hello" });
  return {
    tell: (news) =>
      new Promise((resolve) => {
        const id = nextTell++;
        const settle = () => {
          clearTimeout(timer);
          telling.delete(id);
          resolve();
        };
        const timer = setTimeout(settle, 2 * HEAR_MS);
        telling.set(id, settle);
        send({ type: "tell", id, news });
      }),
  };
}
