/**
 * Runs Ceph's tools against one cluster. No secret is ever on a command line, and nothing of /etc/ceph is used: each call
 * gets a small config file and a keyring of our own, in a private folder that goes with this object. A secret that a CSI
 * request brings is a file for the time of that one call.
 */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import * as fs from "node:fs/promises";
import { join } from "node:path";
import { CEPH_KEY, type ClusterConfig } from "../../config/clusters.js";
import { invalid, StorageError } from "../../errors/storage-error.js";
import type { Exec, ExecOptions, ExecResult } from "../../os/exec.js";
import type { Context } from "../types.js";
import { cephFailure } from "./failure.js";
import { Slots } from "./slots.js";

export type CephProgram = "rbd" | "ceph" | "rados" | "ceph-fuse" | "rbd-nbd";
export type CephContext = Pick<Context, "signal"> & Partial<Pick<Context, "secrets">>;

/** Where a tool finds the cluster: for those that are given options of their own (mount.ceph, a daemon that stays). */
export interface CephFiles {
  conf: string;
  keyring: string;
  /** Without `client.`. */
  user: string;
}

/** A client that was blocklisted must not come back while its writes may still be on their way: five years, in seconds. */
export const BLOCKLIST_SECONDS = 5 * 365 * 24 * 3600;
// What one controller or node runs at a time: a tool is a process of twenty threads.
const MAX_TOOLS = 8;
/** How long a tool looks for a monitor that answers, in seconds. */
const CONNECT_SECONDS = 15;

export class CephCluster {
  readonly #exec: Exec;
  readonly #dir: string;
  readonly #slots = new Slots(MAX_TOOLS);
  #counter = 0;

  /**
   * @param stateDir a folder of this service's own; what a dead process of it has left there of this cluster is removed
   */
  constructor(
    readonly config: ClusterConfig,
    exec: Exec,
    stateDir: string,
  ) {
    this.#exec = exec;
    const parent = join(stateDir, "ceph");
    mkdirSync(parent, { recursive: true, mode: 0o700 });
    removeDead(parent);
    this.#dir = mkdtempSync(join(parent, `${config.name}-${process.pid}-`));
    chmodSync(this.#dir, 0o700);
    writeFileSync(join(this.#dir, "ceph.conf"), confText(config, ""), { mode: 0o600 });
    if (config.key) this.#writeKeyring("keyring", config.user, config.key.reveal());
  }

  get name(): string {
    return this.config.name;
  }

  /**
   * Runs one of Ceph's tools.
   *
   * @throws StorageError by what the tool's failure means (failure.ts); its cause is the ExecError
   */
  run(ctx: CephContext, program: CephProgram, args: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    return this.withFiles(ctx, (files) =>
      this.#slots.run(ctx.signal, async () => {
        const access = ["--conf", files.conf, "--id", files.user, "--keyring", files.keyring];
        try {
          return await this.#exec(program, [...access, ...args], { signal: ctx.signal, ...options });
        } catch (error) {
          throw cephFailure(error, { cluster: this.name, user: files.user, args });
        }
      }),
    );
  }

  /** The same with `--format json`, parsed. An answer that is no JSON is internal. */
  async json(ctx: CephContext, program: CephProgram, args: readonly string[]): Promise<unknown> {
    const { stdout } = await this.run(ctx, program, [...args, "--format", "json"]);
    try {
      return stdout.trim() === "" ? null : JSON.parse(stdout);
    } catch (error) {
      throw new StorageError("internal", `${program} ${args[0] ?? ""} answered what is no JSON`, { cause: error });
    }
  }

  /**
   * Config file and keyring for as long as `work` runs: of the request's secrets (userID and userKey, or adminID and
   * adminKey) where it has them, else of the config.
   *
   * @throws StorageError invalid-argument for half of a pair, failed-precondition when nobody gave a key
   */
  async withFiles<T>(ctx: Pick<CephContext, "secrets">, work: (files: CephFiles) => Promise<T>): Promise<T> {
    const secret = userOfSecrets(ctx.secrets);
    const conf = join(this.#dir, "ceph.conf");
    if (!secret) return work({ conf, keyring: this.#keyring(), user: this.config.user });
    const name = `request-${++this.#counter}`;
    const keyring = this.#writeKeyring(name, secret.user, secret.key);
    try {
      return await work({ conf, keyring, user: secret.user });
    } finally {
      await fs.rm(keyring, { force: true });
    }
  }

  /** Takes the private folder away. Tools that still run lose it: wait for them first. */
  async close(): Promise<void> {
    await fs.rm(this.#dir, { recursive: true, force: true });
  }

  #keyring(): string {
    if (this.config.key) return join(this.#dir, "keyring");
    if (this.config.keyring !== "") return this.config.keyring;
    throw new StorageError(
      "failed-precondition",
      `config: clusters.${this.name} has neither keyring nor key, and the request brought no secrets userID and userKey`,
    );
  }

  #writeKeyring(name: string, user: string, key: string): string {
    const path = join(this.#dir, name);
    writeFileSync(path, `[client.${user}]\n\tkey = ${key}\n`, { mode: 0o600 });
    return path;
  }
}

/**
 * A config file that has the monitors and nothing of the host's.
 *
 * @param keyring a path to be in it, for tools that take none on their command line; "" for none
 */
export function confText(config: ClusterConfig, keyring: string): string {
  return [
    "[global]",
    `mon_host = ${config.monitors.join(",")}`,
    ...(keyring === "" ? [] : [`keyring = ${keyring}`]),
    `client_mount_timeout = ${CONNECT_SECONDS}`,
    // Clients would make a log and a socket of each process in /var.
    "log_file = /dev/null",
    "admin_socket =",
    // Clones that need no protected snapshot, and do not hold up what they were made from.
    "rbd_default_clone_format = 2",
    // Not rbd_blocklist_expire_seconds: with any value librbd 16 asks the monitors for what they refuse, and no client that
    // died while it held an image's lock is ever followed by another.
    "",
  ].join("\n");
}

const USER = /^[A-Za-z0-9._-]{1,64}$/;

function userOfSecrets(secrets: Context["secrets"]): { user: string; key: string } | undefined {
  const id = secrets?.userID ?? secrets?.adminID;
  const key = secrets?.userKey ?? secrets?.adminKey;
  if (id === undefined && key === undefined) return undefined;
  if (id === undefined || key === undefined)
    throw invalid(`secrets: ${id === undefined ? "userID" : "userKey"} is missing: both or neither are given`);
  const user = id.trim().replace(/^client\./, "");
  if (!USER.test(user))
    throw invalid("secrets.userID must be a Ceph user: letters, digits, dots, underscores, hyphens");
  if (!CEPH_KEY.test(key.trim())) throw invalid("secrets.userKey must be a key as `ceph auth get-key` prints it");
  return { user, key: key.trim() };
}

/** Folders of processes that are no more: they hold keys. */
function removeDead(parent: string): void {
  for (const name of readdirSync(parent)) {
    const pid = /^[a-z0-9]+-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(parent, name), { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
