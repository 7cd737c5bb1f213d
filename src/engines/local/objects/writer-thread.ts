import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { messageOf, StorageError } from "../../../errors/storage-error.js";
import { syncFolder } from "../../../os/durable-file.js";
import { takeLock } from "../../../runtime/process-lock.js";
import type { ObjectWriter, ObjectWriterOptions } from "./index.js";
import { bodiesDir, metadataDir, socketPath } from "./paths.js";
import type { ThreadData, ThreadMessage } from "./writer/thread.js";

export async function startThread(options: ObjectWriterOptions): Promise<ObjectWriter> {
  const { dir, crashAt = "" } = options;
  const data: ThreadData = { dir, socketPath: socketPath(dir), crashAt };
  await mkdir(bodiesDir(dir), { recursive: true, mode: 0o700 });
  const unlock = await takeLock(
    { folder: dir, name: "writer", refusal: ({ pid }) => `process ${pid} has the object store in ${dir}` },
    { timeoutMs: 0 },
  );
  const thread = new Worker(threadFile(), { workerData: data });
  let closing = false;
  const ended = new Promise<Error>((resolve) => {
    thread.on("error", (error) => resolve(new Error(`the object writer failed: ${messageOf(error)}`)));
    thread.on("exit", () => closing || resolve(new Error("the object writer ended")));
    thread.on("message", (message: ThreadMessage) => {
      if (message.kind === "failed") resolve(new Error(`the object writer failed: ${message.message}`));
    });
  });
  const listening = new Promise<void>((resolve) => {
    thread.on("message", (message: ThreadMessage) => message.kind === "listening" && resolve());
  });
  const failure = await Promise.race([listening, ended]);
  if (failure) {
    await unlock();
    throw new StorageError("internal", failure.message, { cause: failure });
  }
  // What is in the files is synced; that the files are there is in their folders.
  for (const folder of [metadataDir(dir), dir, dirname(dir)]) await syncFolder(folder);
  return {
    ended,
    async close() {
      closing = true;
      const exited = new Promise((resolve) => thread.once("exit", resolve));
      thread.postMessage("close");
      await exited;
      await unlock();
    },
  };
}

/** A thread runs compiled files: run from sources, as tests are, it is the build's. */
function threadFile(): string {
  const here = fileURLToPath(import.meta.url);
  const folder = here.endsWith(".ts") ? here.replace("/src/engines/", "/dist/src/engines/") : here;
  return join(folder, "..", "writer", "thread.js");
}
