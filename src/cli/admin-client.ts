import * as fs from "node:fs/promises";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { ErrorView } from "../../objectstore/admin/views.js";
import { messageOf, STORAGE_ERROR_CODES, StorageError } from "../errors/storage-error.js";
import { findObjectStore, type ObjectStorePlace } from "../runtime/server-file.js";

const STARTING_MS = 15_000;
const POLL_MS = 100;

/** The admin API of the object store that runs on a data dir. */
export interface AdminClient {
  /** @throws StorageError what the server answered, with its code */
  call<T>(method: string, path: string, body?: unknown): Promise<T>;
  /** The lines of an answer, as they come. */
  lines<T>(method: string, path: string, body: unknown, signal: AbortSignal): AsyncGenerator<T>;
}

/** A path of the API: each value is a segment of its own, whatever is in it. */
export const path = (strings: TemplateStringsArray, ...values: string[]): string =>
  String.raw({ raw: strings }, ...values.map(encodeURIComponent));

/**
 * Finds the running object store by its data dir; its files are never opened. One that is starting is waited for.
 *
 * @throws StorageError unavailable, saying what to start; failed-precondition when this user may not
 */
export async function connectAdmin(dataDir: string): Promise<AdminClient> {
  const place = await runningStore(dataDir);
  const token = (await readToken(place.adminTokenFile)).trim();
  const options = (method: string, target: string) => ({
    socketPath: place.adminSocket,
    method,
    path: target,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
  });
  const send = (method: string, target: string, body: unknown, signal?: AbortSignal) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const sent = httpRequest({ ...options(method, target), ...(signal ? { signal } : {}) }, resolve);
      sent.on("error", (error) => reject(unreachable(dataDir, place, error, signal)));
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  return {
    async call<T>(method: string, target: string, body?: unknown): Promise<T> {
      const answer = await send(method, target, body);
      const text = await textOf(answer);
      if (answer.statusCode !== 200) throw refusal(parse<ErrorView>(text));
      return parse<T>(text);
    },
    async *lines<T>(method: string, target: string, body: unknown, signal: AbortSignal): AsyncGenerator<T> {
      const answer = await send(method, target, body, signal);
      if (answer.statusCode !== 200) throw refusal(parse<ErrorView>(await textOf(answer)));
      try {
        for await (const line of createInterface({ input: answer })) {
          const value = parse<T | { error: ErrorView }>(line);
          if (typeof value === "object" && value !== null && "error" in value) throw refusal(value.error);
          yield value as T;
        }
      } catch (error) {
        throw error instanceof StorageError ? error : unreachable(dataDir, place, error, signal);
      }
      signal.throwIfAborted();
      if (!answer.complete) throw unreachable(dataDir, place, new Error("the connection ended"), signal);
    },
  };
}

async function runningStore(dataDir: string): Promise<ObjectStorePlace> {
  for (const endMs = Date.now() + STARTING_MS; ; await sleep(POLL_MS)) {
    const found = await findObjectStore(dataDir);
    if (found === undefined)
      throw new StorageError(
        "unavailable",
        `no granary object store runs on ${dataDir}; start one with: granary objectstore --data-dir ${dataDir}`,
      );
    if (found !== "starting") return found;
    if (Date.now() > endMs)
      throw new StorageError("unavailable", `the object store on ${dataDir} is still starting; see its log`);
  }
}

async function readToken(file: string): Promise<string> {
  try {
    return await fs.readFile(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EACCES" || code === "EPERM")
      throw new StorageError(
        "failed-precondition",
        `${file} may be read only by the user that runs the object store: run the command as that user, or as root`,
      );
    throw new StorageError("unavailable", `the object store's admin token cannot be read: ${messageOf(error)}`);
  }
}

function unreachable(dataDir: string, place: ObjectStorePlace, error: unknown, signal?: AbortSignal): unknown {
  if (signal?.aborted) return signal.reason;
  return new StorageError(
    "unavailable",
    `the object store on ${dataDir} cannot be reached at ${place.adminSocket}: ${messageOf(error)}; is it being stopped?`,
  );
}

async function textOf(answer: IncomingMessage): Promise<string> {
  answer.setEncoding("utf8");
  let text = "";
  for await (const part of answer as AsyncIterable<string>) text += part;
  return text;
}

function parse<T>(text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new StorageError("internal", "the object store's answer is not JSON; is it of another version of granary?");
  }
}

function refusal({ code, message }: ErrorView): StorageError {
  return new StorageError(STORAGE_ERROR_CODES.find((known) => known === code) ?? "internal", message);
}
