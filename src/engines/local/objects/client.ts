import { connect, type Socket } from "node:net";
import { pack } from "msgpackr";
import { messageOf, refused, StorageError } from "../../../errors/storage-error.js";
import type { Context } from "../../types.js";
import { FrameReader, FrameWriter } from "./frames.js";
import {
  fromRefusal,
  type OperationName,
  type Refusal,
  type ReplyOf,
  type RequestOf,
  type ToClient,
} from "./protocol.js";
import { putBytes, readDecided, writePut } from "./put-message.js";

// What one process may have under way. The writer's memory is bounded by this times the processes.
const MAX_OUTSTANDING = 4096;
const MAX_OUTSTANDING_BYTES = 128 * 1024 ** 2;
const CALL_TIMEOUT_MS = 30_000;
const WATCH_MS = 250;
const RECONNECT_FIRST_MS = 20;
const RECONNECT_MOST_MS = 1000;

/** What became of a call, for who must know it also where the caller was told "timed out" before. */
export type Settled = "done" | "refused" | "unknown";

interface Call {
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: StorageError) => void;
  readonly settled: ((outcome: Settled) => void) | undefined;
  readonly signal: AbortSignal | undefined;
  readonly startedMs: number;
  readonly bytes: number;
  /** The caller has its error; the reply is still to come. */
  given: boolean;
}

function sendPut(frames: FrameWriter, call: number, request: RequestOf<"put">): number {
  const preconditions = Object.keys(request.preconditions).length === 0 ? undefined : pack(request.preconditions);
  return frames.write(putBytes(request, preconditions), (target, start) =>
    writePut(target, start, call, request, preconditions),
  );
}

/** A process's connection to the writer. It stands up again by itself; calls that it broke under fail with unavailable. */
export class WriterClient {
  readonly #path: string;
  readonly #reading: (bodyIds: number[]) => number[];
  readonly #calls = new Map<number, Call>();
  #bytes = 0;
  #nextCall = 1;
  #connection: { socket: Socket; frames: FrameWriter } | undefined;
  #retryMs = RECONNECT_FIRST_MS;
  #retry: NodeJS.Timeout | undefined;
  readonly #watch: NodeJS.Timeout;
  #closed = false;

  /** `reading`: which of these bodies this process is reading. */
  constructor(path: string, reading: (bodyIds: number[]) => number[]) {
    this.#path = path;
    this.#reading = reading;
    this.#watch = setInterval(() => this.#expire(), WATCH_MS).unref();
  }

  /** Settles when connected. @throws StorageError unavailable when no writer listens within that time */
  async connect(timeoutMs: number): Promise<void> {
    const endMs = Date.now() + timeoutMs;
    for (;;) {
      try {
        await this.#connectOnce();
        return;
      } catch (error) {
        if (Date.now() >= endMs)
          throw new StorageError("unavailable", `no object writer listens on ${this.#path}`, { cause: error });
        await new Promise((resolve) => setTimeout(resolve, RECONNECT_FIRST_MS));
      }
    }
  }

  #connectOnce(): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.#path);
      const frames = new FrameWriter(socket);
      const reader = new FrameReader<ToClient>(readDecided, (message) => this.#take(message, frames));
      socket.once("connect", () => {
        this.#connection = { socket, frames };
        this.#retryMs = RECONNECT_FIRST_MS;
        resolve();
      });
      socket.on("data", (chunk: Buffer) => {
        try {
          reader.push(chunk);
        } catch (error) {
          socket.destroy(error as Error);
        }
      });
      socket.on("error", reject);
      socket.on("close", () => {
        if (this.#connection?.socket === socket) this.#lost();
        reject(new Error("closed"));
      });
    });
  }

  #lost(): void {
    this.#connection = undefined;
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    this.#bytes = 0;
    for (const call of calls) {
      call.settled?.("unknown");
      if (!call.given) call.reject(new StorageError("unavailable", "the connection to the object writer broke"));
    }
    this.#reconnect();
  }

  #reconnect(): void {
    if (this.#closed) return;
    this.#retry = setTimeout(() => {
      this.#retryMs = Math.min(this.#retryMs * 2, RECONNECT_MOST_MS);
      this.#connectOnce().catch(() => this.#reconnect());
    }, this.#retryMs).unref();
  }

  /**
   * Has the writer do it: settled when it is durable. `settled` is called once with what became of it, which may be long
   * after the promise was rejected with timed-out.
   *
   * @throws StorageError what the operation refuses with; unavailable, busy, timed-out, cancelled
   */
  call<K extends OperationName>(
    operation: K,
    request: RequestOf<K>,
    ctx?: Context,
    settled?: (outcome: Settled) => void,
  ): Promise<ReplyOf<K>> {
    return new Promise((resolve, reject) => {
      const connection = this.#connection;
      const impossible = connection ? this.#full(ctx) : new StorageError("unavailable", "the object writer is away");
      if (!connection || impossible) {
        settled?.("refused");
        reject(impossible);
        return;
      }
      const id = this.#nextCall++;
      let bytes: number;
      try {
        bytes =
          operation === "put"
            ? sendPut(connection.frames, id, request as RequestOf<"put">)
            : connection.frames.send([id, operation, request]);
      } catch (error) {
        settled?.("refused");
        reject(new StorageError("invalid-argument", `the change is too large: ${messageOf(error)}`, { cause: error }));
        return;
      }
      this.#bytes += bytes;
      this.#calls.set(id, {
        resolve: resolve as (reply: unknown) => void,
        reject,
        settled,
        signal: ctx?.signal,
        startedMs: Date.now(),
        bytes,
        given: false,
      });
    });
  }

  #full(ctx: Context | undefined): StorageError | undefined {
    if (ctx?.signal.aborted) return new StorageError("cancelled", "the request was cancelled");
    if (this.#calls.size >= MAX_OUTSTANDING || this.#bytes >= MAX_OUTSTANDING_BYTES)
      return refused("busy", "too many changes wait for the disk; try again");
    return undefined;
  }

  #take(message: ToClient, frames: FrameWriter): void {
    const [id, outcome, value] = message;
    if (outcome === "reading") {
      frames.send([id, "answer", this.#reading(value as number[])]);
      return;
    }
    const call = this.#calls.get(id);
    if (!call) return;
    this.#calls.delete(id);
    this.#bytes -= call.bytes;
    call.settled?.(outcome === "ok" ? "done" : "refused");
    if (call.given) return;
    if (outcome === "ok") call.resolve(value);
    else call.reject(fromRefusal(value as Refusal));
  }

  /** One timer for all calls: a listener on each one's signal would cost each. */
  #expire(): void {
    const nowMs = Date.now();
    for (const call of this.#calls.values()) {
      if (call.given) continue;
      const late = nowMs - call.startedMs > CALL_TIMEOUT_MS;
      if (!late && !call.signal?.aborted) continue;
      call.given = true;
      call.reject(refused("timed-out", "the change was not on disk in time; it may be yet"));
    }
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#watch);
    clearTimeout(this.#retry);
    this.#connection?.frames.flush();
    this.#connection?.socket.destroySoon();
  }
}
