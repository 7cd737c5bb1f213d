import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Place } from "../../ceph/place.js";
import { runTool } from "../run-tool.js";

export type Mapper = "krbd" | "rbd-nbd" | "qemu-storage-daemon";

export interface Mapped {
  device: string;
  mapper: Mapper;
  unmap(): Promise<void>;
}

/** What the kernel of this host can map an image by: the order in which Granary prefers them. */
export function mapperHere(): Mapper {
  if (existsSync("/sys/bus/rbd")) return "krbd";
  return existsSync("/sys/module/nbd") ? "rbd-nbd" : "qemu-storage-daemon";
}

/** Maps an image as a person would by hand, with the mapper that Granary chooses on this host and its options. */
export async function mapByHand(signal: AbortSignal, place: Place, image: string, dir: string): Promise<Mapped> {
  const mapper = mapperHere();
  if (mapper === "qemu-storage-daemon") return { mapper, ...(await byStorageDaemon(signal, place, image, dir)) };
  const type = mapper === "krbd" ? ["--options", "noudev"] : ["--device-type", "nbd"];
  const at = ["--conf", place.env.conf, ...type, `${place.spec}/${image}`];
  const device = (await runTool(signal, "rbd", "device", "map", ...at)).trim();
  return {
    ...{ mapper, device },
    unmap: async () => void (await runTool(new AbortController().signal, "rbd", "device", "unmap", ...at)),
  };
}

/** Exports the image as a file by FUSE, and puts a loop device with direct I/O on it. */
async function byStorageDaemon(signal: AbortSignal, { env, name }: Place, image: string, dir: string) {
  const [file, pidFile] = [join(dir, `${image}.raw`), join(dir, `${image}.pid`)];
  writeFileSync(file, "");
  const blockdev = {
    ...{
      driver: "rbd",
      "node-name": "image",
      pool: env.rbd.pool,
      namespace: name,
      image,
      conf: env.conf,
      user: "admin",
    },
    ...{ cache: { direct: false, "no-flush": false }, discard: "unmap" },
  };
  const fuse = ["type=fuse", "id=file", "node-name=image", `mountpoint=${file}`, "writable=on"].join(",");
  await runTool(
    signal,
    "qemu-storage-daemon",
    ...["--daemonize", "--pidfile", pidFile, "--blockdev", JSON.stringify(blockdev), "--export", fuse],
  );
  const device = (
    await runTool(signal, "losetup", "--find", "--show", "--direct-io=on", "--sector-size", "4096", file)
  ).trim();
  const always = new AbortController().signal;
  return {
    device,
    async unmap() {
      await runTool(always, "losetup", "--detach", device);
      const pid = await runTool(always, "cat", pidFile);
      await runTool(always, "kill", pid.trim());
    },
  };
}
