import { z } from "zod";
import { StorageError } from "../../../errors/storage-error.js";
import type { ExecOptions } from "../../../os/exec.js";
import type { Extent } from "../../types.js";
import type { CephCluster, CephContext } from "../cluster.js";

/** A pool and namespace that images are in. */
export interface Place {
  /** As ids have it. */
  id: string;
  pool: string;
  /** "" for none. */
  namespace: string;
}

export interface ImageInfo {
  id: string;
  sizeBytes: bigint;
  hasParent: boolean;
}

/** Who has the image open, or locked: an address is one client's, `10.0.0.1:0/3219`, and nobody else's ever. */
export interface Client {
  address: string;
  /** `client.4123` */
  name: string;
  /** The lock's id where it holds the lock. */
  lockId: string | undefined;
}

const bytes = z.number().transform((value) => BigInt(value));
const InfoAnswer = z.object({ id: z.string(), size: bytes, parent: z.unknown().optional() });
const SnapshotsAnswer = z.array(
  z.object({ id: z.number(), name: z.string(), size: bytes, namespace: z.unknown().optional() }),
);
const MetadataAnswer = z.record(z.string(), z.string());
const StatusAnswer = z.object({ watchers: z.array(z.object({ address: z.string(), client: z.number() })) });
const LocksAnswer = z.array(z.object({ id: z.string(), locker: z.string(), address: z.string() }));
const LongListAnswer = z.array(
  z.object({
    image: z.string(),
    id: z.string().optional(),
    snapshot: z.string().optional(),
    parent: z.unknown().optional(),
  }),
);
const TrashAnswer = z.array(z.object({ id: z.string(), name: z.string() }));

export type LongRow = z.infer<typeof LongListAnswer>[number];

export const isCode = (error: unknown, ...codes: StorageError["code"][]): error is StorageError =>
  error instanceof StorageError && codes.includes(error.code);

/** Undefined where what it needs does not exist. */
export async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isCode(error, "not-found")) return undefined;
    throw error;
  }
}

export const placeSpec = ({ pool, namespace }: Place): string => (namespace === "" ? pool : `${pool}/${namespace}`);
export const imageSpec = (place: Place, image: string, snapshot = ""): string =>
  `${placeSpec(place)}/${image}${snapshot === "" ? "" : `@${snapshot}`}`;

/** `rbd`'s commands, one method each; an image that is not there is not-found, one that is already, already-exists. */
export class Images {
  constructor(readonly cluster: CephCluster) {}

  async #run(ctx: CephContext, args: readonly string[], options?: ExecOptions): Promise<void> {
    await this.cluster.run(ctx, "rbd", args, options);
  }

  async #ask<T>(ctx: CephContext, shape: z.ZodType<T>, args: readonly string[], empty?: unknown): Promise<T> {
    const answer = (await this.cluster.json(ctx, "rbd", args)) ?? empty;
    const parsed = shape.safeParse(answer);
    if (parsed.success) return parsed.data;
    throw new StorageError("internal", `rbd ${args[0] ?? ""} answered what is not understood`, { cause: parsed.error });
  }

  names = (ctx: CephContext, place: Place): Promise<string[]> =>
    this.#ask(ctx, z.array(z.string()), ["ls", placeSpec(place)], []);

  /** Every image, and a row for each of its snapshots. Opens each image. */
  rows = (ctx: CephContext, place: Place): Promise<LongRow[]> =>
    this.#ask(ctx, LongListAnswer, ["ls", "--long", placeSpec(place)], []);

  async info(ctx: CephContext, place: Place, image: string, snapshot = ""): Promise<ImageInfo> {
    const { id, size, parent } = await this.#ask(ctx, InfoAnswer, ["info", imageSpec(place, image, snapshot)]);
    return { id, sizeBytes: size, hasParent: parent !== undefined && parent !== null };
  }

  create = (ctx: CephContext, place: Place, image: string, sizeBytes: bigint, options: readonly string[] = []) =>
    this.#run(ctx, ["create", "--size", `${sizeBytes}B`, ...options, imageSpec(place, image)]);

  clone = (ctx: CephContext, from: string, place: Place, image: string, options: readonly string[]) =>
    this.#run(ctx, ["clone", ...options, from, imageSpec(place, image)]);

  remove = (ctx: CephContext, place: Place, image: string) =>
    this.#run(ctx, ["rm", "--no-progress", imageSpec(place, image)]);

  rename = (ctx: CephContext, place: Place, image: string, to: string) =>
    this.#run(ctx, ["rename", imageSpec(place, image), imageSpec(place, to)]);

  resize = (ctx: CephContext, place: Place, image: string, sizeBytes: bigint) =>
    this.#run(ctx, ["resize", "--no-progress", "--size", `${sizeBytes}B`, imageSpec(place, image)]);

  toTrash = (ctx: CephContext, place: Place, image: string) => this.#run(ctx, ["trash", "mv", imageSpec(place, image)]);

  trash = (ctx: CephContext, place: Place) =>
    this.#ask(ctx, TrashAnswer, ["trash", "ls", "--all", placeSpec(place)], []);

  metadata = (ctx: CephContext, place: Place, image: string): Promise<Record<string, string>> =>
    this.#ask(ctx, MetadataAnswer, ["image-meta", "list", imageSpec(place, image)], {});

  setMetadata = (ctx: CephContext, place: Place, image: string, key: string, value: string) =>
    this.#run(ctx, ["image-meta", "set", imageSpec(place, image), key, value]);

  async removeMetadata(ctx: CephContext, place: Place, image: string, key: string): Promise<void> {
    await unlessMissing(this.#run(ctx, ["image-meta", "remove", imageSpec(place, image), key]));
  }

  snapshots = (ctx: CephContext, place: Place, image: string, all = false) =>
    this.#ask(ctx, SnapshotsAnswer, ["snap", "ls", ...(all ? ["--all"] : []), imageSpec(place, image)], []);

  cut = (ctx: CephContext, place: Place, image: string, snapshot: string) =>
    this.#run(ctx, ["snap", "create", "--no-progress", imageSpec(place, image, snapshot)]);

  /** One that has clones moves to its image's own trash, and goes with the last of them. Gone already is fine. */
  async removeSnapshot(ctx: CephContext, place: Place, image: string, snapshot: string): Promise<void> {
    await unlessMissing(this.#run(ctx, ["snap", "rm", "--no-progress", imageSpec(place, image, snapshot)]));
  }

  /** Those that have the image open, and those that hold its lock, each once. */
  async clients(ctx: CephContext, place: Place, image: string): Promise<Client[]> {
    const at = imageSpec(place, image);
    const [{ watchers }, locks] = await Promise.all([
      this.#ask(ctx, StatusAnswer, ["status", at], { watchers: [] }),
      this.#ask(ctx, LocksAnswer, ["lock", "ls", at], []),
    ]);
    const found = new Map<string, Client>();
    for (const { address, client } of watchers)
      found.set(address, { address, name: `client.${client}`, lockId: undefined });
    for (const { address, locker, id } of locks) found.set(address, { address, name: locker, lockId: id });
    return [...found.values()];
  }

  /** Of a client that is blocklisted: by itself the tool would do that too, and for an hour, whatever was said before. */
  breakLock = (ctx: CephContext, place: Place, image: string, lockId: string, locker: string) =>
    this.#run(ctx, ["--rbd_blocklist_on_break_lock=false", "lock", "rm", imageSpec(place, image), lockId, locker]);

  /**
   * Where an image's snapshot may differ from an earlier one, or with "" from nothing: whole objects (4 MiB unless the
   * class says otherwise), ascending, joined. Read line by line: the extents of a large image are more than fits a text.
   */
  async diff(ctx: CephContext, place: Place, image: string, from: string, snapshot: string): Promise<Extent[]> {
    const extents: Extent[] = [];
    const since = from === "" ? [] : ["--from-snap", from];
    await this.#run(ctx, ["diff", "--whole-object", ...since, imageSpec(place, image, snapshot)], {
      onLine: (line) => {
        const [, offset, length] = /^\s*(\d+)\s+(\d+)\s+(?:data|zero)/.exec(line) ?? [];
        if (offset === undefined || length === undefined) return;
        append(extents, BigInt(offset), BigInt(length));
      },
    });
    return extents;
  }
}

function append(extents: Extent[], offsetBytes: bigint, lengthBytes: bigint): void {
  const last = extents.at(-1);
  if (last && last.offsetBytes + last.lengthBytes === offsetBytes) last.lengthBytes += lengthBytes;
  else extents.push({ offsetBytes, lengthBytes });
}
