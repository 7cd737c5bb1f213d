import * as fs from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { messageOf, StorageError } from "../errors/storage-error.js";
import { openObjectStore } from "../manifests/object-store.js";
import type { Pod } from "../manifests/objects.js";
import { ExecError, type ExecResult, exec } from "../os/exec.js";
import { detachLoop, listLoops } from "../os/loop.js";
import { listMounts, unmount } from "../os/mount.js";
import { CsiCallError, CsiClient } from "../runtime/csi-client.js";
import { protoFile } from "../runtime/grpc.js";
import { findObjectStore, findServers, serverFiles } from "../runtime/server-file.js";
import type { Screen } from "./demo-screen.js";

const MAIN = fileURLToPath(new URL("../main.js", import.meta.url));
const EXAMPLES = join(dirname(protoFile("csi.proto")), "..", "examples");
const READY_MS = 30_000;
const STOP_MS = 40_000;
const TIDY_MS = 20_000;
const POLL_MS = 50;

/** What the steps of the demo work with: the real commands, as child processes, on a data dir of the demo's own. */
export interface DemoWorld {
  readonly dataDir: string;
  readonly screen: Screen;
  readonly signal: AbortSignal;
  /** Shows and runs `granary ARGS` on the data dir. @throws StorageError with what it said, when it fails */
  granary(...args: string[]): Promise<ExecResult>;
  /** Starts `granary up`; settled once it is ready. */
  up(): Promise<void>;
  /** Where the server speaks S3; waits until it does. */
  s3Endpoint(): Promise<string>;
  /** A pod's status, as the provisioner left it. */
  pod(name: string): Promise<Pod["status"]>;
}

export const failure = (message: string) => new StorageError("internal", message);

/** A file of examples/, as a person in the current folder would type it. */
export function example(file = ""): string {
  const path = join(EXAMPLES, file);
  const near = relative(process.cwd(), path);
  return near.startsWith("..") ? path : near;
}

/** A running demo and its cleanup, which undoes all that was made, wherever the demo stopped. */
export class OwnedWorld implements DemoWorld {
  #server: { ended: Promise<string>; kill: AbortController; over(): string | undefined } | undefined;

  constructor(
    /** A real path: mounts are listed by those. Empty at first. */
    readonly dataDir: string,
    readonly screen: Screen,
    readonly signal: AbortSignal,
  ) {}

  async granary(...args: string[]): Promise<ExecResult> {
    this.screen.command(["granary", ...args].join(" "));
    try {
      return await exec(process.execPath, [MAIN, ...args, "--data-dir", this.dataDir], { signal: this.signal });
    } catch (error) {
      this.signal.throwIfAborted();
      if (!(error instanceof ExecError)) throw error;
      throw failure(`granary ${args[0]} failed: ${error.stderr.trim() || messageOf(error)}`);
    }
  }

  async up(): Promise<void> {
    // A port of its own: S3's usual one may be another server's.
    const words = ["up", "--s3-listen", "127.0.0.1:0"];
    this.screen.command(`granary ${words.join(" ")} &`);
    const kill = new AbortController();
    const args = [MAIN, ...words, "--data-dir", this.dataDir];
    let over: string | undefined;
    const ended = exec(process.execPath, args, { signal: kill.signal }).then(
      ({ stderr }) => (over = stderr),
      (error: unknown) => (over = messageOf(error)),
    );
    this.#server = { ended, kill, over: () => over };
    await this.#until(() => this.#isReady());
  }

  async s3Endpoint(): Promise<string> {
    let endpoint = "";
    await this.#until(async () => {
      const found = await findObjectStore(this.dataDir);
      if (found !== undefined && found !== "starting") endpoint = found.s3Endpoint;
      return endpoint !== "";
    });
    return endpoint;
  }

  async #until(isSo: () => Promise<boolean>): Promise<void> {
    for (const endMs = Date.now() + READY_MS; !(await isSo()); await sleep(POLL_MS)) {
      this.signal.throwIfAborted();
      const over = this.#server?.over();
      if (over !== undefined) throw failure(`granary up ended at once: ${over.trim().slice(-2000)}`);
      if (Date.now() > endMs) throw failure(`granary up was not ready after ${READY_MS / 1000} s`);
    }
  }

  async #isReady(): Promise<boolean> {
    const { controller } = await findServers(this.dataDir);
    if (controller === undefined) return false;
    const client = new CsiClient(controller);
    try {
      return (await client.call("Identity", "Probe", {}, READY_MS)).ready?.value === true;
    } catch (error) {
      if (error instanceof CsiCallError && error.code === "UNAVAILABLE") return false;
      throw error;
    } finally {
      client.close();
    }
  }

  async pod(name: string): Promise<Pod["status"]> {
    const store = await openObjectStore(this.dataDir, { lock: false });
    const found = store.get("Pod", "default", name);
    if (found?.status.phase !== "Running") throw failure(`pod ${name} has not got its volumes`);
    return found.status;
  }

  /** Stops the server and takes every mount and loop device away. @throws StorageError naming what is left */
  async tidy(): Promise<void> {
    await this.#stopServer();
    const signal = AbortSignal.timeout(TIDY_MS);
    let why = "";
    for (;;) {
      const mounts = await this.#mounts();
      const loops = await this.#loops(signal);
      if (mounts.length === 0 && loops.length === 0) return;
      if (signal.aborted) throw failure(`could not take away ${[...mounts, ...loops].join(", ")}: ${why}`);
      // What was mounted last may lie on what was mounted before it.
      for (const path of mounts.toReversed())
        await unmount(exec, signal, path).catch((error) => (why = messageOf(error)));
      for (const device of await this.#loops(signal))
        await detachLoop(exec, signal, device).catch((error) => (why = messageOf(error)));
      await sleep(POLL_MS);
    }
  }

  async #mounts(): Promise<string[]> {
    const paths = (await listMounts()).map(({ mountPoint }) => mountPoint);
    return paths.filter((path) => path.startsWith(`${this.dataDir}/`));
  }

  async #loops(signal: AbortSignal): Promise<string[]> {
    const loops = (await listLoops(exec, signal)).filter(({ backingPath }) =>
      backingPath.startsWith(`${this.dataDir}/`),
    );
    return loops.map(({ device }) => device);
  }

  /** Removes every file of the data dir. Only after `tidy`: below a mount would be more than the demo's. */
  async removeFiles(): Promise<void> {
    for (const name of await fs.readdir(this.dataDir))
      await fs.rm(join(this.dataDir, name), { recursive: true, force: true });
  }

  async #stopServer(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    const timer = setTimeout(() => server.kill.abort(), STOP_MS);
    const running = (await serverFiles(this.dataDir)).find(({ alive }) => alive);
    // Without a record it has nothing open yet.
    if (running?.record) process.kill(running.record.pid, "SIGTERM");
    else server.kill.abort();
    await server.ended;
    clearTimeout(timer);
  }
}
