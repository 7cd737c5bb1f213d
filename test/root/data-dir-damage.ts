import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { tool } from "./csi-requests.js";

/**
 * Name, size, times and content of everything in the data dir. A large image is its size and blocks; of one that is
 * attached the name and size alone, since the kernel writes back to it when it likes.
 */
export function listing(dir: string, skip: (path: string) => boolean = () => false): string[] {
  const attached = tool("losetup", "-l", "-n", "-O", "BACK-FILE");
  return fs
    .readdirSync(dir, { recursive: true, encoding: "utf8" })
    .filter((name) => !skip(name))
    .sort()
    .map((name) => {
      const path = join(dir, name);
      const stat = fs.lstatSync(path, { bigint: true });
      if (stat.isFile() && attached.includes(path)) return [name, stat.mode, stat.size].join(" ");
      const small = stat.isFile() && stat.size <= 4n * 1024n ** 2n;
      const content = small ? createHash("sha256").update(fs.readFileSync(path)).digest("hex") : stat.blocks;
      return [name, stat.mode, stat.size, stat.mtimeNs, stat.ctimeNs, content].join(" ");
    });
}

/** Changes one file for the time of `work`; its times are put back too. */
export async function withFile(
  path: string,
  text: string | undefined,
  work: () => void | Promise<void>,
): Promise<void> {
  const before = fs.existsSync(path) ? fs.readFileSync(path) : undefined;
  if (text === undefined) fs.rmSync(path);
  else fs.writeFileSync(path, text);
  try {
    await work();
  } finally {
    if (before === undefined) fs.rmSync(path, { recursive: true });
    else fs.writeFileSync(path, before);
  }
}

/** The loop devices that are attached to the image. */
export const loopsOn = (image: string) =>
  tool("losetup", "-l", "-n", "-O", "NAME,BACK-FILE")
    .split("\n")
    .filter((line) => line.includes(image))
    .map((line) => line.split(/\s+/)[0] ?? "");
