import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { StorageError } from "../../../errors/storage-error.js";
import type { Context } from "../../types.js";

/** `ceph ARGS` as the cluster's user, as JSON where it has any. @throws StorageError */
export type Ceph = (ctx: Context, args: readonly string[]) => Promise<string>;

export interface CopyStatus {
  state: "pending" | "in-progress" | "complete" | "failed" | "canceled" | "absent";
  /** For people: Ceph's own words of a failure, or how far it is where Ceph says so (19 and later). */
  words: string;
  outOfSpace: boolean;
}

const Copy = z.object({
  status: z.object({
    state: z.enum(["pending", "in-progress", "complete", "failed", "canceled"]),
    failure: z.object({ errno: z.coerce.string(), error_msg: z.string() }).optional(),
    progress_report: z.looseObject({ "percentage cloned": z.string().optional() }).optional(),
  }),
});

const Info = z.looseObject({
  state: z.string().optional(),
  bytes_used: z.number().optional(),
  bytes_quota: z.union([z.number(), z.string()]).optional(),
});
export type SubvolumeInfo = z.infer<typeof Info>;

const TENANT = "granary";

const isCode = (error: unknown, ...codes: readonly string[]) =>
  error instanceof StorageError && codes.includes(error.code);

/** The subvolumes of one group, by Ceph's own commands. Each stands being repeated. */
export class Subvolumes {
  #groupMade: Promise<void> | undefined;

  constructor(
    private readonly ceph: Ceph,
    private readonly filesystem: (ctx: Context) => Promise<string>,
    private readonly group: string,
  ) {}

  async #run(ctx: Context, verb: readonly string[], args: readonly string[]): Promise<string> {
    const filesystem = await this.filesystem(ctx);
    return this.ceph(ctx, ["fs", ...verb, filesystem, ...args, "--group_name", this.group]);
  }

  /** Once in a process: it is there, then. */
  async #ensureGroup(ctx: Context): Promise<void> {
    this.#groupMade ??= this.filesystem(ctx)
      .then((filesystem) => this.ceph(ctx, ["fs", "subvolumegroup", "create", filesystem, this.group]))
      .then(() => {});
    await this.#groupMade.catch((error: unknown) => {
      this.#groupMade = undefined;
      throw error;
    });
  }

  /** `dataPool` "": the group's own. */
  async create(ctx: Context, name: string, sizeBytes: bigint, dataPool: string): Promise<void> {
    await this.#ensureGroup(ctx);
    const pool = dataPool === "" ? [] : ["--pool_layout", dataPool];
    await this.#run(ctx, ["subvolume", "create"], [name, "--size", String(sizeBytes), "--namespace-isolated", ...pool]);
  }

  /** Its snapshots stay; with none, nothing of it stays. */
  async remove(ctx: Context, name: string): Promise<void> {
    await this.#run(ctx, ["subvolume", "rm"], [name, "--retain-snapshots", "--force"]).catch((error: unknown) => {
      if (!isCode(error, "not-found")) throw error;
    });
  }

  async path(ctx: Context, name: string): Promise<string> {
    const path = (await this.#run(ctx, ["subvolume", "getpath"], [name])).trim();
    if (!path.startsWith("/")) throw new StorageError("internal", `subvolume ${name} has no path`);
    return path;
  }

  async info(ctx: Context, name: string): Promise<SubvolumeInfo> {
    return Info.parse(JSON.parse(await this.#run(ctx, ["subvolume", "info"], [name])));
  }

  /** Never below what is used. */
  async grow(ctx: Context, name: string, sizeBytes: bigint): Promise<void> {
    await this.#run(ctx, ["subvolume", "resize"], [name, String(sizeBytes), "--no-shrink"]);
  }

  async cut(ctx: Context, name: string, snapshot: string): Promise<void> {
    await this.#run(ctx, ["subvolume", "snapshot", "create"], [name, snapshot]).catch((error: unknown) => {
      if (!isCode(error, "already-exists")) throw error;
    });
  }

  /** With its last one, a subvolume that was removed is gone. @throws StorageError aborted while it is copied from */
  async removeSnapshot(ctx: Context, name: string, snapshot: string): Promise<void> {
    await this.#run(ctx, ["subvolume", "snapshot", "rm"], [name, snapshot, "--force"]).catch((error: unknown) => {
      if (!isCode(error, "not-found")) throw error;
    });
  }

  /** Begins to copy; see `copyStatus`. */
  async copy(ctx: Context, from: { subvolume: string; snapshot: string }, to: string, dataPool: string): Promise<void> {
    const pool = dataPool === "" ? [] : ["--pool_layout", dataPool];
    const args = [from.subvolume, from.snapshot, to, "--target_group_name", this.group, ...pool];
    await this.#run(ctx, ["subvolume", "snapshot", "clone"], args).catch((error: unknown) => {
      if (!isCode(error, "already-exists")) throw error;
    });
  }

  async copyStatus(ctx: Context, name: string): Promise<CopyStatus> {
    let text: string;
    try {
      text = await this.#run(ctx, ["clone", "status"], [name]);
    } catch (error) {
      if (isCode(error, "not-found")) return { state: "absent", words: "", outOfSpace: false };
      throw error;
    }
    const { state, failure, progress_report: progress } = Copy.parse(JSON.parse(text)).status;
    const words = failure?.error_msg ?? progress?.["percentage cloned"] ?? "";
    return { state, words, outOfSpace: failure !== undefined && /^-?(28|122)$/.test(failure.errno) };
  }

  /** Ends a copying, of whatever state, so that its target can be removed. */
  async cancelCopy(ctx: Context, name: string): Promise<void> {
    await this.#run(ctx, ["clone", "cancel"], [name]).catch((error: unknown) => {
      // invalid-argument: it has ended; not-found: it never began.
      if (!isCode(error, "not-found", "invalid-argument", "failed-precondition", "unimplemented")) throw error;
    });
  }

  /** Has a Ceph user that may use this subvolume alone: its key. */
  async authorize(ctx: Context, name: string, user: string, readonly: boolean): Promise<string> {
    // Ceph tells the key only to who names a tenant, and to no other one from then on.
    const args = [name, user, "--access_level", readonly ? "r" : "rw", "--tenant_id", TENANT];
    const key = (await this.#run(ctx, ["subvolume", "authorize"], args)).trim().replace(/^"(.*)"$/, "$1");
    if (key === "") throw new StorageError("internal", `subvolume authorize of ${name} answered no key`);
    return key;
  }

  /** The user's key is taken back, then its clients are cut off, by their addresses. */
  async revoke(ctx: Context, name: string, user: string): Promise<void> {
    await this.#run(ctx, ["subvolume", "deauthorize"], [name, user]).catch((error: unknown) => {
      if (!isCode(error, "not-found")) throw error;
    });
    await this.#run(ctx, ["subvolume", "evict"], [name, user]).catch((error: unknown) => {
      if (!isCode(error, "not-found")) throw error;
    });
  }

  /** Waits until the copying has ended, or for `waitMs`: its status then. */
  async awaitCopy(ctx: Context, name: string, waitMs: number): Promise<CopyStatus> {
    const endMs = Date.now() + waitMs;
    for (let pauseMs = 100; ; pauseMs = Math.min(pauseMs * 2, 2_000)) {
      const status = await this.copyStatus(ctx, name);
      if ((status.state !== "pending" && status.state !== "in-progress") || Date.now() > endMs) return status;
      await sleep(pauseMs, undefined, { signal: ctx.signal }).catch(() => {});
    }
  }
}
