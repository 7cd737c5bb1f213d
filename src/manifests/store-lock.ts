import * as fs from "node:fs/promises";
import { join } from "node:path";
import { StorageError } from "../errors/storage-error.js";

export interface LockOptions {
  /** How long to wait for another command; 0 refuses at once. */
  timeoutMs: number;
  /** Called once, when it has to wait. */
  onWait?: (message: string) => void;
  signal?: AbortSignal;
}

interface Owner {
  pid: number;
  /** The process's start in clock ticks since boot: a recycled pid is not taken for the owner. */
  startTicks: string;
}

const RETRY_MS = 50;
const FREE: Owner = { pid: 0, startTicks: "" };
// How many used-up generations stay: a slow taker's look at the folder may not miss all of them.
const KEPT_GENERATIONS = 8;

/**
 * Takes the exclusive right to write objects. Node has no flock, so: each holder's file, `lock.N.json`, is one generation
 * later than the last, is made with link(2), which fails if it is there, and the newest file is never removed, not even
 * by its own release. So whoever finds the newest generation released or its process dead can only contend for the next,
 * and one wins; who linked an older number, after a long pause, sees the newer file and withdraws.
 *
 * @returns what gives it back
 * @throws StorageError failed-precondition when another command still holds it after `timeoutMs`
 */
export async function lockObjects(folder: string, options: LockOptions): Promise<() => Promise<void>> {
  await fs.mkdir(folder, { recursive: true, mode: 0o700 });
  const mine = join(folder, `lock.of.${process.pid}.${process.hrtime.bigint()}`);
  await fs.writeFile(mine, JSON.stringify({ pid: process.pid, startTicks: await startTicks(process.pid) }));
  const endMs = Date.now() + options.timeoutMs;
  let told = false;
  try {
    for (;;) {
      options.signal?.throwIfAborted();
      const last = (await generations(folder)).at(-1) ?? 0;
      const owner = await readOwner(fileOf(folder, last));
      if (!(await isAlive(owner))) {
        if (await take(folder, mine, last + 1)) return () => release(folder, last + 1);
        continue;
      }
      if (Date.now() >= endMs)
        throw new StorageError(
          "failed-precondition",
          `another granary command, process ${owner.pid}, is changing objects in ${folder}; try again when it has ended`,
        );
      if (!told) options.onWait?.(`waiting for another granary command, process ${owner.pid}`);
      told = true;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  } finally {
    await fs.rm(mine, { force: true });
  }
}

const fileOf = (folder: string, generation: number) => join(folder, `lock.${generation}.json`);

async function generations(folder: string): Promise<number[]> {
  const found = (await fs.readdir(folder)).map((name) => Number(/^lock\.(\d{1,15})\.json$/.exec(name)?.[1] ?? 0));
  return found.filter((generation) => generation > 0).sort((a, b) => a - b);
}

async function take(folder: string, mine: string, generation: number): Promise<boolean> {
  try {
    await fs.link(mine, fileOf(folder, generation));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
  const all = await generations(folder);
  if (all.at(-1) !== generation) {
    await fs.rm(fileOf(folder, generation), { force: true });
    return false;
  }
  const old = all.filter((known) => known <= generation - KEPT_GENERATIONS);
  await Promise.all(old.map((known) => fs.rm(fileOf(folder, known), { force: true })));
  return true;
}

async function release(folder: string, generation: number): Promise<void> {
  const free = join(folder, `lock.of.${process.pid}.${process.hrtime.bigint()}`);
  await fs.writeFile(free, JSON.stringify(FREE));
  await fs.rename(free, fileOf(folder, generation));
}

/** Who wrote the file; nobody, if it is not there or no lock: links are made of whole files, so that is no live owner's. */
async function readOwner(path: string): Promise<Owner> {
  try {
    return { ...FREE, ...(JSON.parse(await fs.readFile(path, "utf8")) as Owner) };
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === "ENOENT") return FREE;
    throw error;
  }
}

async function isAlive(owner: Owner): Promise<boolean> {
  return owner.startTicks !== "" && (await startTicks(owner.pid)) === owner.startTicks;
}

async function startTicks(pid: number): Promise<string> {
  const stat = await fs.readFile(`/proc/${Number(pid)}/stat`, "utf8").catch(() => "");
  // The program's name, in parentheses, may hold spaces: count from after it. starttime is field 22.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}
