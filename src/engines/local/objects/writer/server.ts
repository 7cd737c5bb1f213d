import { rmSync } from "node:fs";
import { chmod } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { refused } from "../../../../errors/storage-error.js";
import { readU64 } from "../codec.js";
import { FrameReader, FrameWriter } from "../frames.js";
import { after, sequenceKey } from "../keys.js";
import {
  type Decided,
  type OperationName,
  type RequestOf,
  type ToClient,
  type ToWriter,
  toRefusal,
} from "../protocol.js";
import { decidedBytes, readPut, writeDecided } from "../put-message.js";
import type { Tables } from "../tables.js";
import type { Committer } from "./committer.js";

const ANSWER_TIMEOUT_MS = 10_000;

/** One process that is connected. */
class Client {
  readonly #socket: Socket;
  readonly #frames: FrameWriter;
  readonly #questions = new Map<number, (bodyIds: number[]) => void>();
  #nextQuestion = 1;

  constructor(socket: Socket, run: (client: Client, message: ToWriter, bytes: number) => void) {
    this.#socket = socket;
    this.#frames = new FrameWriter(socket);
    const reader = new FrameReader<ToWriter>(readPut, (message, bytes) => run(this, message, bytes));
    socket.on("data", (chunk: Buffer) => {
      try {
        reader.push(chunk);
      } catch (error) {
        socket.destroy(error as Error);
      }
    });
    // A process that ended: its calls are committed all the same, and nobody waits for their replies.
    socket.on("error", () => socket.destroy());
    // Who is gone reads nothing.
    socket.on("close", () => {
      for (const answered of this.#questions.values()) answered([]);
    });
  }

  send(message: ToClient): void {
    this.#frames.send(message);
  }

  sendDecided(call: number, decided: Decided): void {
    this.#frames.write(decidedBytes(decided), (target, start) => writeDecided(target, start, call, decided));
  }

  /** Which of these bodies the process is reading; all, where it does not say in time. */
  ask(bodyIds: number[]): Promise<readonly number[]> {
    if (this.#socket.destroyed) return Promise.resolve([]);
    const question = this.#nextQuestion++;
    return new Promise((resolve) => {
      const late = setTimeout(() => this.#questions.delete(question) && resolve(bodyIds), ANSWER_TIMEOUT_MS);
      this.#questions.set(question, (answer) => {
        clearTimeout(late);
        this.#questions.delete(question);
        resolve(answer);
      });
      this.send([question, "reading", bodyIds]);
    });
  }

  answered(question: number, bodyIds: number[]): void {
    this.#questions.get(question)?.(bodyIds);
  }

  end(): void {
    this.#frames.flush();
    this.#socket.destroySoon();
  }
}

/** Listens for the processes that serve. */
export class WriterServer {
  readonly #server: Server;
  readonly #path: string;
  readonly #tables: Tables;
  readonly #committer: Committer;
  readonly #clients = new Set<Client>();

  constructor(path: string, tables: Tables, committer: Committer) {
    this.#path = path;
    this.#tables = tables;
    this.#committer = committer;
    this.#server = createServer((socket) => {
      const client = new Client(socket, this.#run);
      this.#clients.add(client);
      socket.on("close", () => {
        this.#clients.delete(client);
        // A process that was killed leaves its read transaction, which would keep pages from being used again.
        this.#tables.root.readerCheck();
      });
    });
  }

  readonly #run = (client: Client, message: ToWriter, bytes: number): void => {
    const [id, operation, request] = message;
    if (operation === "answer") client.answered(id, request as number[]);
    else if (operation === "takeGarbage") {
      this.#garbage(request as RequestOf<"takeGarbage">).then(
        (bodyIds) => client.send([id, "ok", bodyIds]),
        (error) => client.send([id, "refused", toRefusal(refused("busy", String(error)))]),
      );
    } else this.#commit(client, id, operation, request, bytes);
  };

  #commit(
    client: Client,
    id: number,
    operation: Exclude<OperationName, "takeGarbage">,
    request: unknown,
    bytes: number,
  ) {
    this.#committer.add({
      operation,
      request,
      bytes,
      settle: (outcome) => {
        if ("refusal" in outcome) client.send([id, "refused", outcome.refusal]);
        else if (operation === "put") client.sendDecided(id, outcome.reply as Decided);
        else client.send([id, "ok", outcome.reply]);
      },
    });
  }

  /** What was garbage before the processes were asked, and is read by none: who reads later does not come to it. */
  async #garbage({ limit, after: passed }: RequestOf<"takeGarbage">): Promise<number[]> {
    let start = after(sequenceKey(passed));
    for (;;) {
      this.#tables.root.resetReadTxn();
      const keys = [...this.#tables.garbage.getKeys({ start, limit })];
      const last = keys.at(-1);
      if (!last) return [];
      const candidates = keys.map((key) => readU64(key, 0));
      const answers = await Promise.all([...this.#clients].map((client) => client.ask(candidates)));
      const read = new Set(answers.flat());
      const free = candidates.filter((bodyId) => !read.has(bodyId));
      // An object of thousands of parts, deleted while it is read for hours, keeps none of the others.
      if (free.length > 0) return free;
      start = after(last);
    }
  }

  async listen(): Promise<void> {
    rmSync(this.#path, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#path, resolve);
    });
    await chmod(this.#path, 0o600);
  }

  /** What was committed is answered first. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const client of this.#clients) client.end();
    await closed;
  }
}
