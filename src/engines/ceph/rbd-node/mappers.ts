import { access } from "node:fs/promises";
import { messageOf } from "../../../errors/storage-error.js";
import { type Exec, ExecError } from "../../../os/exec.js";
import type { MapperKind } from "./mapper.js";

/** One way to a block device of an image, and what the host says to it. */
export interface MapperReport {
  kind: MapperKind;
  usable: boolean;
  /** For people: what makes it usable, or what is missing and how to have it. */
  why: string;
}

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

/**
 * What this host maps RBD images with, the best first. Loads the kernel's modules where it may. The first that is usable is
 * taken for an image, unless it does not know that image's features.
 */
export async function mapperReports(exec: Exec, signal: AbortSignal): Promise<MapperReport[]> {
  return [await krbdReport(exec, signal), await nbdReport(exec, signal), await daemonReport(exec, signal)];
}

type Check = (exec: Exec, signal: AbortSignal) => Promise<MapperReport>;

/** Undefined when the program runs. What it answers to a question for its version does not matter. */
async function missing(exec: Exec, signal: AbortSignal, program: string, from: string): Promise<string | undefined> {
  try {
    await exec(program, ["--version"], { signal });
    return undefined;
  } catch (error) {
    if (!(error instanceof ExecError) || error.reason !== "missing") return undefined;
    return `${program} is not installed: apt-get install ${from}`;
  }
}

async function module(exec: Exec, signal: AbortSignal, name: string, shows: string): Promise<string | undefined> {
  if (await exists(shows)) return undefined;
  try {
    await exec("modprobe", [name], { signal });
  } catch (error) {
    return `the kernel has no module ${name} (${messageOf(error)})`;
  }
  return (await exists(shows)) ? undefined : `the kernel's module ${name} shows no ${shows}`;
}

const krbdReport: Check = async (exec, signal) => {
  const lacks =
    (await missing(exec, signal, "rbd", "ceph-common")) ?? (await module(exec, signal, "rbd", "/sys/bus/rbd"));
  return { kind: "krbd", usable: lacks === undefined, why: lacks ?? "the kernel's own RBD client" };
};

const nbdReport: Check = async (exec, signal) => {
  const lacks = (await missing(exec, signal, "rbd-nbd", "rbd-nbd")) ?? (await module(exec, signal, "nbd", "/dev/nbd0"));
  return { kind: "rbd-nbd", usable: lacks === undefined, why: lacks ?? "librbd behind the kernel's nbd" };
};

const daemonReport: Check = async (exec, signal) => {
  const lacks = await daemonLacks(exec, signal);
  const why = lacks ?? "librbd in a storage daemon of QEMU, FUSE, and a loop device";
  return { kind: "qemu-storage-daemon", usable: lacks === undefined, why };
};

async function daemonLacks(exec: Exec, signal: AbortSignal): Promise<string | undefined> {
  for (const path of ["/dev/fuse", "/dev/loop-control"]) if (!(await exists(path))) return `there is no ${path}`;
  // An image that cannot be there: what is learned is whether the daemon has the driver at all.
  const probe = { driver: "rbd", "node-name": "probe", pool: "-", image: "-", conf: "/dev/null/none" };
  try {
    await exec("qemu-storage-daemon", ["--blockdev", JSON.stringify(probe)], { signal });
  } catch (error) {
    if (!(error instanceof ExecError)) throw error;
    if (error.reason === "missing")
      return "qemu-storage-daemon is not installed: apt-get install qemu-system-common qemu-block-extra";
    if (/unknown driver|does not support|not found|could not load/i.test(error.stderr) && !/conf/i.test(error.stderr))
      return "qemu-storage-daemon has no driver for RBD: apt-get install qemu-block-extra";
  }
  return undefined;
}
