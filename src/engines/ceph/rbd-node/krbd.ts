import { access, readdir, readFile, writeFile } from "node:fs/promises";
import { release } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { StorageError } from "../../../errors/storage-error.js";
import { type Exec, ExecError } from "../../../os/exec.js";
import type { Context } from "../../types.js";
import type { CephCluster } from "../cluster.js";
import { specOf } from "./image.js";
import type { Mapped, Mapper, MapWish } from "./mapper.js";

const BUS = "/sys/bus/rbd";

/** The bits of RBD's features by the names that `rbd info` gives them (doc: rbd(8), librbd's features.h). */
const FEATURE_BITS: Record<string, bigint> = {
  layering: 1n,
  striping: 2n,
  "exclusive-lock": 4n,
  "object-map": 8n,
  "fast-diff": 16n,
  "deep-flatten": 32n,
  journaling: 64n,
  "data-pool": 128n,
  operations: 256n,
  migrating: 512n,
  "non-primary": 1024n,
};

/** rbd's exit code is the errno. */
const EBUSY = 16;
const GROW_MS = 10_000;
const POLL_MS = 50;

/** Linux's own RBD client. Its devices need no process. */
export function krbd(exec: Exec): Mapper {
  return {
    kind: "krbd",
    async refuses({ features, image }) {
      if (image.limited) return "it does not keep to iops and bps, which the volume has";
      const text = await readFile(`${BUS}/supported_features`, "utf8").catch(() => undefined);
      // Kernels before 4.11 tell nothing: the map itself is then the test.
      if (text === undefined) return undefined;
      const known = BigInt(text.trim());
      const unknown = features.filter((name) => ((FEATURE_BITS[name] ?? ~known) & ~known) !== 0n);
      return unknown.length === 0 ? undefined : `this kernel's rbd does not know the features ${unknown.join(", ")}`;
    },
    list: listKernel,
    map,
    async grow(ctx, { device }, sizeBytes) {
      const number = device.replace("/dev/rbd", "");
      const endMs = Date.now() + GROW_MS;
      // The kernel is told of a resize by the cluster; this asks it to look now.
      await writeFile(`${BUS}/devices/${number}/refresh`, "1");
      while ((await sizeOf(number)) < sizeBytes) {
        if (Date.now() > endMs)
          throw new StorageError("unavailable", `${device} does not see that its image has grown`);
        await sleep(POLL_MS, undefined, { signal: ctx.signal });
      }
    },
    async unmap(ctx, { device }) {
      try {
        const options = await udevOptions();
        const args = options.length > 0 ? ["--options", options.join(",")] : [];
        await exec("rbd", ["device", "unmap", device, ...args], { signal: ctx.signal });
      } catch (error) {
        if (!(error instanceof ExecError) || error.exitCode !== EBUSY) throw error;
        throw new StorageError("failed-precondition", `${device} is still open somewhere`, { cause: error });
      }
    },
    async clear() {
      // The kernel either has a device or nothing.
    },
  };
}

const sizeOf = async (number: string) => BigInt((await readFile(`/sys/block/rbd${number}/size`, "utf8")).trim()) * 512n;

async function listKernel(): Promise<Mapped[]> {
  const numbers = await readdir(`${BUS}/devices`).catch(() => []);
  const found = await Promise.all(numbers.sort((a, b) => Number(a) - Number(b)).map(describe));
  return found.filter((mapped) => mapped !== undefined);
}

async function describe(number: string): Promise<Mapped | undefined> {
  const read = async (name: string) => (await readFile(`${BUS}/devices/${number}/${name}`, "utf8")).trim();
  try {
    // A mapped snapshot is nobody's volume.
    if ((await read("current_snap")) !== "-") return undefined;
    const parts = [read("cluster_fsid"), read("pool_id"), read("pool_ns").catch(() => ""), read("image_id")];
    return {
      mapper: "krbd",
      device: `/dev/rbd${number}`,
      identity: (await Promise.all(parts)).join("/"),
      readonly: (await readFile(`/sys/block/rbd${number}/ro`, "utf8")).trim() === "1",
      sizeBytes: await sizeOf(number),
      alive: true,
    };
  } catch (error) {
    // It was unmapped while this looked, or the kernel is too old to tell what it shows.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** The address of a device's client, as the cluster sees it. */
export async function krbdClient(device: string): Promise<string | undefined> {
  const text = await readFile(`${BUS}/devices/${device.replace("/dev/rbd", "")}/client_addr`, "utf8").catch(() => "");
  return text.trim() || undefined;
}

/** `rbd map` waits for udev to tell of the device: where no udevd runs it would wait for ever. */
async function udevOptions(): Promise<string[]> {
  const runs = await access("/run/udev/control").then(
    () => true,
    () => false,
  );
  return runs ? [] : ["noudev"];
}

async function map(ctx: Context, wish: MapWish, cluster: CephCluster): Promise<void> {
  const [major = 0, minor = 0] = release().split(".").map(Number);
  // Linux 5.11 speaks the second messenger protocol: the only one where monitors listen on port 3300 alone.
  const messenger = major > 5 || (major === 5 && minor >= 11) ? ["ms_mode=prefer-crc"] : [];
  // noshare: a client of its own for each image, so that the node can be cut off one volume and keep the others.
  const options = ["noshare", ...messenger, ...(await udevOptions())].join(",");
  const readonly = wish.readonly ? ["--read-only"] : [];
  await cluster.run(ctx, "rbd", ["device", "map", specOf(wish.image), ...readonly, "--options", options]);
}
