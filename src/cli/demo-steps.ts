import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs/promises";
import { join } from "node:path";
import { showSize } from "../model/size.js";
import { exec } from "../os/exec.js";
import { deviceBytes } from "../os/loop.js";
import { objectStore } from "./demo-objects.js";
import { type DemoWorld, example, failure } from "./demo-world.js";

const MIB = 1024 * 1024;
const DATA_BYTES = 32 * MIB;

/** The steps in their order. Each throws when what it claims is not so: the data is compared, never assumed. */
export const DEMO_STEPS: readonly ((world: DemoWorld) => Promise<void>)[] = [
  makePool,
  startServer,
  databaseClaim,
  sharedClaim,
  rawBlockClaim,
  snapshotAndClone,
  expansion,
  ephemeralVolumes,
  objectStore,
  lookAround,
];

async function makePool(world: DemoWorld): Promise<void> {
  world.screen.step("A pool for volumes: one sparse file, formatted as XFS with reflinks");
  const file = join(world.dataDir, "pool.img");
  const { stdout } = await world.granary("pool", "init", "--file", file, "--size", "8Gi");
  world.screen.done((stdout.split(";")[0] ?? "").trim());
}

async function startServer(world: DemoWorld): Promise<void> {
  world.screen.step("The server: CSI controller and node, and the S3 gateway");
  await world.up();
  world.screen.done(`ready on unix://${world.dataDir}/csi.sock`);
  world.screen.done(`ready on ${await world.s3Endpoint()}`);
}

async function databaseClaim(world: DemoWorld): Promise<void> {
  world.screen.step("A database's disk: made, formatted, mounted for its pod");
  await apply(world, "01-storageclasses.yaml", "02-database-claim.yaml");
  const before = await database(world);
  const written = await writeData(join(before, "orders"), DATA_BYTES);
  world.screen.done(`${showSize(BigInt(DATA_BYTES))} of random bytes written to the pod's /var/lib/postgresql/data`);
  await world.granary("delete", "pod", "database");
  await apply(world, "02-database-claim.yaml");
  same("the database's data after its pod came back", await hash(join(await database(world), "orders")), written);
  world.screen.done(`unmounted, detached, mounted for the pod's return: same bytes, sha256 ${written.slice(0, 12)}`);
}

async function sharedClaim(world: DemoWorld): Promise<void> {
  world.screen.step("A shared filesystem: two pods mount it at once, one read-only");
  await apply(world, "03-shared-claim-two-pods.yaml");
  const [writer, reader] = [await folder(world, "writer", "/shared"), await folder(world, "reader", "/shared")];
  const text = `written by pod writer, ${new Date().toISOString()}`;
  await fs.writeFile(join(writer, "now"), text);
  same("what pod reader sees", await fs.readFile(join(reader, "now"), "utf8"), text);
  world.screen.done(`pod reader reads: ${text}`);
  const refused = await fs.writeFile(join(reader, "now"), "").then(
    () => undefined,
    (error: NodeJS.ErrnoException) => error.code,
  );
  same("the answer to a write by pod reader", refused, "EROFS");
  world.screen.done("pod reader writes: refused, read-only file system");
}

async function rawBlockClaim(world: DemoWorld): Promise<void> {
  world.screen.step("A raw block device, without a filesystem");
  await apply(world, "04-raw-block-claim.yaml");
  const { devices } = await world.pod("raw");
  const path = devices[0]?.hostPath ?? "";
  const bytes = await deviceBytes(exec, world.signal, path);
  const data = randomBytes(4 * MIB);
  const offset = Number(bytes) - data.length;
  const back = Buffer.alloc(data.length);
  const writer = await fs.open(path, "r+");
  try {
    await writer.write(data, 0, data.length, offset);
    await writer.sync();
  } finally {
    await writer.close();
  }
  const reader = await fs.open(path, "r");
  try {
    await reader.read(back, 0, back.length, offset);
  } finally {
    await reader.close();
  }
  same("what the raw device holds", sha256(back), sha256(data));
  world.screen.done(`${showSize(bytes)} device: its last ${showSize(BigInt(data.length))} written and read back`);
}

async function snapshotAndClone(world: DemoWorld): Promise<void> {
  world.screen.step("A snapshot, a claim restored from it, and a clone, each with the data of its moment");
  const own = await database(world);
  const write = async (day: string) => {
    await fs.writeFile(join(own, "day"), day);
    return writeData(join(own, "orders"), DATA_BYTES);
  };
  const read = async (path: string) =>
    `${await fs.readFile(join(path, "day"), "utf8")} ${await hash(join(path, "orders"))}`;
  const monday = `monday ${await write("monday")}`;
  await apply(world, "05-snapshot.yaml");
  const tuesday = `tuesday ${await write("tuesday")}`;
  await apply(world, "06-restore-and-clone.yaml");
  const wednesday = `wednesday ${await write("wednesday")}`;
  const restored = join(await folder(world, "compare", "/restored"), "pgdata");
  const clone = join(await folder(world, "compare", "/clone"), "pgdata");
  for (const [what, path, expected] of [
    ["the database", own, wednesday],
    ["the restored claim", restored, monday],
    ["the clone", clone, tuesday],
  ] as const) {
    same(`the data of ${what}`, await read(path), expected);
    const [day = "", sum = ""] = expected.split(" ");
    world.screen.done(`${what.padEnd(18)} holds ${day}'s data, sha256 ${sum.slice(0, 12)}`);
  }
}

async function expansion(world: DemoWorld): Promise<void> {
  world.screen.step("An expansion: the database's disk grows while it is in use");
  const path = await database(world);
  const data = await hash(join(path, "orders"));
  const before = await df(world, path);
  world.screen.command(`df -h ${path.replace(world.dataDir, "$GRANARY_DATA_DIR")}`);
  world.screen.output(`${before.header}\n${before.row}`);
  await apply(world, "07-expansion.yaml");
  const after = await df(world, path);
  world.screen.output(after.row);
  if (after.bytes < before.bytes * 1.9)
    throw failure(`the filesystem has ${after.bytes} bytes, it had ${before.bytes}`);
  same("the data after the expansion", await hash(join(path, "orders")), data);
  world.screen.done("twice as large under the running pod, same data");
}

async function ephemeralVolumes(world: DemoWorld): Promise<void> {
  world.screen.step("Volumes that live and die with their pod");
  await apply(world, "08-ephemeral.yaml");
  const { mounts } = await world.pod("worker");
  for (const { hostPath } of mounts) await writeData(join(hostPath, "file"), MIB);
  await world.granary("delete", "pod", "worker");
  for (const { hostPath, mountPath } of mounts)
    same(`what is left of ${mountPath}`, await fs.stat(hostPath).catch(() => undefined), undefined);
  world.screen.done(`${mounts.length} volumes written, and gone with the pod`);
}

async function lookAround(world: DemoWorld): Promise<void> {
  world.screen.step("A look around");
  for (const words of ["get pvc", "get volumesnapshot", "pool status", "doctor"])
    world.screen.output((await world.granary(...words.split(" "))).stdout);
  world.screen.done("registry, pool, loop devices and mounts agree");
}

/** The last step, once whoever wanted to look has looked. */
export async function deleteAll(world: DemoWorld): Promise<void> {
  world.screen.step("Delete everything");
  await world.granary("delete", "-f", example(), "--ignore-not-found");
  const { stdout } = await world.granary("pool", "status", "-o", "json");
  const { volumes, snapshots } = JSON.parse(stdout) as { volumes: number; snapshots: number };
  same("the number of volumes and snapshots that are left", `${volumes} and ${snapshots}`, "0 and 0");
  world.screen.done("no volume and no snapshot is left");
}

async function apply(world: DemoWorld, ...files: string[]): Promise<void> {
  const { stderr } = await world.granary("apply", ...files.flatMap((file) => ["-f", example(file)]));
  world.screen.output(stderr.trim().split("\n").at(-1) ?? "");
}

/** The host's folder behind a path of a pod's container. */
async function folder(world: DemoWorld, pod: string, mountPath: string): Promise<string> {
  const mount = (await world.pod(pod)).mounts.find((one) => one.mountPath === mountPath);
  if (!mount) throw failure(`pod ${pod} has nothing mounted at ${mountPath}`);
  return mount.hostPath;
}

const database = (world: DemoWorld) => folder(world, "database", "/var/lib/postgresql/data");
const sha256 = (data: Buffer) => createHash("sha256").update(data).digest("hex");
const hash = async (path: string) => sha256(await fs.readFile(path));

/** Fresh random bytes, on disk when it returns. @returns their sha256 */
async function writeData(path: string, bytes: number): Promise<string> {
  const data = randomBytes(bytes);
  await fs.writeFile(path, data, { flush: true });
  return sha256(data);
}

async function df(world: DemoWorld, path: string): Promise<{ header: string; row: string; bytes: number }> {
  const args = ["-h", "--output=source,fstype,size,used,avail", path];
  const [header = "", row = ""] = (await exec("df", args, { signal: world.signal })).stdout.split("\n");
  const { blocks, bsize } = await fs.statfs(path);
  return { header, row, bytes: blocks * bsize };
}

function same(what: string, found: unknown, expected: unknown): void {
  if (found !== expected) throw failure(`${what}: expected ${String(expected)}, found ${String(found)}`);
}
