import * as fs from "node:fs/promises";

export interface ImageUser {
  device: string;
  /** One mount point of each file system that is mounted from the device. */
  mountPoint: string | null;
}

/**
 * The loop devices on an image and where they are mounted, from sysfs and mountinfo: two reads, no process. Needed
 * while a file system is frozen, when starting a program could itself block.
 */
export async function imageUsers(imagePath: string): Promise<ImageUser[]> {
  const [blocks, mountinfo] = await Promise.all([
    fs.readdir("/sys/block"),
    fs.readFile("/proc/self/mountinfo", "utf8"),
  ]);
  const users: ImageUser[] = [];
  for (const name of blocks.filter((block) => block.startsWith("loop"))) {
    const backing = await fs.readFile(`/sys/block/${name}/loop/backing_file`, "utf8").catch(() => "");
    if (backing.trimEnd() !== imagePath) continue;
    const number = (await fs.readFile(`/sys/block/${name}/dev`, "utf8")).trim();
    users.push({ device: `/dev/${name}`, mountPoint: mountOf(mountinfo, number, `/dev/${name}`) });
  }
  return users;
}

// btrfs shows an anonymous device number, so the source's name is compared too.
function mountOf(mountinfo: string, deviceNumber: string, device: string): string | null {
  for (const line of mountinfo.split("\n")) {
    const [left = "", right = ""] = line.split(" - ");
    const fields = left.split(" ");
    const [type, source] = right.split(" ");
    if (type === "devtmpfs") continue;
    if (fields[2] === deviceNumber || source === device) return unescapeOctal(fields[4] ?? "");
  }
  return null;
}

function unescapeOctal(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_all, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}
