import { parentPort, workerData } from "node:worker_threads";
import { crashAtStep, type Step } from "../../../../runtime/steps.js";
import { openTables } from "../tables.js";
import { Committer } from "./committer.js";
import { MetadataRoom } from "./metadata-room.js";
import { WriterServer } from "./server.js";
import { Store } from "./store.js";

/** What the thread is started with. */
export interface ThreadData {
  readonly dir: string;
  readonly socketPath: string;
  readonly crashAt: string;
}

/** What the thread says: once that it listens, or at last why it cannot go on. */
export type ThreadMessage = { readonly kind: "listening" } | { readonly kind: "failed"; readonly message: string };

async function main({ dir, socketPath, crashAt }: ThreadData): Promise<void> {
  const port = parentPort;
  if (!port) throw new Error("the object writer runs in a thread of its own");
  if (crashAt) crashAtStep(crashAt as Step);
  const tables = openTables(dir, { readOnly: false });
  const say = (message: ThreadMessage) => port.postMessage(message);
  const committer = new Committer(new Store(tables), new MetadataRoom(dir), (error) =>
    say({ kind: "failed", message: error.message }),
  );
  const server = new WriterServer(socketPath, tables, committer);
  port.once("message", () => {
    void server
      .close()
      .then(() => tables.root.close())
      .then(() => port.close());
  });
  await server.listen();
  say({ kind: "listening" });
}

await main(workerData as ThreadData);
