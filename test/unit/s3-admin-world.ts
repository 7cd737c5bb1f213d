import { mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serveAdmin } from "../../objectstore/admin/server.js";
import { openObjectEngine, startObjectWriter } from "../../src/engines/local/objects/index.js";
import { openLog } from "../../src/runtime/log.js";

export interface Answer {
  status: number;
  /** Of the one JSON value, or of each line of several. */
  body: unknown;
  text: string;
}

export interface Send {
  token?: string | null;
  body?: unknown;
  /** Sent as it is, in the place of `body`. */
  raw?: string | Buffer;
  headers?: Record<string, string>;
}

/** The admin API over a real store, in this process. */
export async function startAdminWorld() {
  const dataDir = realpathSync(mkdtempSync(join(tmpdir(), "granary-admin-")));
  const dir = join(dataDir, "objects");
  const lines: string[] = [];
  const destination = { write: (text: string) => void lines.push(text) };
  const log = openLog({ level: "trace", role: "objectstore", readable: false, destination });
  const writer = await startObjectWriter({ dir });
  const engine = await openObjectEngine({ dir });
  const options = {
    ...{ dataDir, engine, identities: engine.identities, log },
    settings: { region: "us-east-1", rootUserId: "root" },
    rootAccessKey: "ROOTKEY",
  };
  let admin = await serveAdmin(options);
  const token = () => readFileSync(admin.tokenFile, "utf8").trim();
  const send = (method: string, path: string, options: Send = {}): Promise<Answer> => {
    const { token: own = token(), body, raw, headers = {} } = options;
    const authorization = own === null ? {} : { authorization: `Bearer ${own}` };
    return new Promise((resolve, reject) => {
      const sent = request(
        { socketPath: admin.socketPath, method, path, agent: false, headers: { ...authorization, ...headers } },
        (answer) => {
          let text = "";
          answer.setEncoding("utf8").on("data", (part: string) => (text += part));
          answer.on("error", reject);
          answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body: parsed(text), text }));
        },
      );
      sent.on("error", reject);
      sent.end(raw ?? (body === undefined ? undefined : JSON.stringify(body)));
    });
  };
  return {
    dataDir,
    engine,
    send,
    token,
    log: () => lines.join(""),
    socketPath: admin.socketPath,
    tokenFile: admin.tokenFile,
    /** A call of the engine's own. */
    context: () => ({ signal: new AbortController().signal, requestId: "test", log }),
    /** Stops the API and starts it again, as a new server does. */
    async restart() {
      await admin.close();
      admin = await serveAdmin(options);
    },
    closeAdmin: () => admin.close(),
    async close() {
      await admin.close();
      await engine.close();
      await writer.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

export type AdminWorld = Awaited<ReturnType<typeof startAdminWorld>>;

function parsed(text: string): unknown {
  const values = text
    .trim()
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as unknown);
  return values.length > 1 ? values : values[0];
}
