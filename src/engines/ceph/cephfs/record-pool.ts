import { mkdirSync, mkdtempSync } from "node:fs";
import * as fs from "node:fs/promises";
import { join } from "node:path";
import { StorageError } from "../../../errors/storage-error.js";
import { ExecError } from "../../../os/exec.js";
import type { Context } from "../../types.js";
import type { CephCluster } from "../cluster.js";
import { cephFailure } from "../failure.js";
import { recordNamespace } from "./names.js";

/** The file system's metadata pool, in a namespace of the subvolume group's own: what `rados` reads and writes there. */
export class RecordPool {
  readonly #dir: string;
  #counter = 0;

  constructor(
    private readonly cluster: CephCluster,
    private readonly poolOf: (ctx: Context) => Promise<string>,
    stateDir: string,
  ) {
    const parent = join(stateDir, "ceph");
    mkdirSync(parent, { recursive: true, mode: 0o700 });
    // Named so that the next process takes it away when this one dies (CephCluster).
    this.#dir = mkdtempSync(join(parent, `${cluster.name}-${process.pid}-keys-`));
  }

  async #at(ctx: Context, namespace = recordNamespace(this.cluster.config.subvolumeGroup)): Promise<string[]> {
    return ["--pool", await this.poolOf(ctx), "--namespace", namespace];
  }

  /** What the command printed; undefined where the object or the key is not there. */
  async read(ctx: Context, args: readonly string[]): Promise<string | undefined> {
    const all = [...(await this.#at(ctx)), ...args, "--format", "json"];
    try {
      const { stdout, stderr, exitCode } = await this.cluster.run(ctx, "rados", all, { okCodes: [0, 1] });
      if (exitCode === 0) return stdout;
      if (stdout.startsWith("No such key")) return undefined;
      const { name, config } = this.cluster;
      throw cephFailure(new ExecError("rados", exitCode, stderr, "exit"), { cluster: name, user: config.user, args });
    } catch (error) {
      if (error instanceof StorageError && error.code === "not-found") return undefined;
      throw error;
    }
  }

  async write(ctx: Context, args: readonly string[]): Promise<void> {
    await this.cluster.run(ctx, "rados", [...(await this.#at(ctx)), ...args]);
  }

  /** An object of its own namespace, whose text may be a secret: it goes by a file that is there for this call alone. */
  async putObject(ctx: Context, namespace: string, object: string, text: string): Promise<void> {
    const path = join(this.#dir, `object-${++this.#counter}`);
    await fs.writeFile(path, text, { mode: 0o600 });
    try {
      await this.cluster.run(ctx, "rados", [...(await this.#at(ctx, namespace)), "put", object, path]);
    } finally {
      await fs.rm(path, { force: true });
    }
  }

  /** Gone already is fine. */
  async removeObject(ctx: Context, namespace: string, object: string): Promise<void> {
    const args = [...(await this.#at(ctx, namespace)), "rm", object];
    await this.cluster.run(ctx, "rados", args).catch((error: unknown) => {
      if (!(error instanceof StorageError) || error.code !== "not-found") throw error;
    });
  }

  async close(): Promise<void> {
    await fs.rm(this.#dir, { recursive: true, force: true });
  }
}
