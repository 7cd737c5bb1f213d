import * as fs from "node:fs/promises";
import { join } from "node:path";
import { StorageError } from "../errors/storage-error.js";

/** One run of one process. */
export interface ProcessIdentity {
  pid: number;
  /** The process's start in clock ticks since boot: a recycled pid is not taken for the same process. */
  startTicks: string;
}

export interface LockOptions {
  /** How long to wait for the holder; 0 refuses at once. */
  timeoutMs: number;
  /** Called once, when it has to wait. */
  onWait?: (message: string) => void;
  signal?: AbortSignal;
}

export interface LockName {
  folder: string;
  /** The lock's files are `NAME.N.json`. */
  name: string;
  /** What is said when it is held for too long. */
  refusal: (holder: ProcessIdentity) => string;
}

const RETRY_MS = 50;
const FREE: ProcessIdentity = { pid: 0, startTicks: "" };
// How many used-up generations stay: a slow taker's look at the folder may not miss all of them.
const KEPT_GENERATIONS = 8;

/**
 * Takes an exclusive right that ends with its holder's process. Node has no flock, so: each holder's file, `NAME.N.json`,
 * is one generation later than the last, is made with link(2), which fails if it is there, and the newest file is never
 * removed, not even by its own release. So whoever finds the newest generation released or its process dead can only
 * contend for the next, and one wins; who linked an older number, after a long pause, sees the newer file and withdraws.
 *
 * @returns what gives it back
 * @throws StorageError failed-precondition when another process still holds it after `timeoutMs`
 */
export async function takeLock(lock: LockName, options: LockOptions): Promise<() => Promise<void>> {
  await fs.mkdir(lock.folder, { recursive: true, mode: 0o700 });
  const mine = passingFile(lock);
  await fs.writeFile(mine, JSON.stringify(await thisProcess()));
  const endMs = Date.now() + options.timeoutMs;
  let told = false;
  try {
    for (;;) {
      options.signal?.throwIfAborted();
      const last = (await generations(lock)).at(-1) ?? 0;
      const holder = await readHolder(fileOf(lock, last));
      if (!(await isAlive(holder))) {
        if (await take(lock, mine, last + 1)) return () => release(lock, last + 1);
        continue;
      }
      if (Date.now() >= endMs) throw new StorageError("failed-precondition", lock.refusal(holder));
      if (!told) options.onWait?.(`waiting for another granary command, process ${holder.pid}`);
      told = true;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  } finally {
    await fs.rm(mine, { force: true });
  }
}

export async function thisProcess(): Promise<ProcessIdentity> {
  return { pid: process.pid, startTicks: await startTicks(process.pid) };
}

/** Whether that very process still runs. */
export async function isAlive(known: ProcessIdentity): Promise<boolean> {
  return known.startTicks !== "" && (await startTicks(known.pid)) === known.startTicks;
}

const fileOf = (lock: LockName, generation: number) => join(lock.folder, `${lock.name}.${generation}.json`);
const passingFile = (lock: LockName) => join(lock.folder, `${lock.name}.of.${process.pid}.${process.hrtime.bigint()}`);

async function generations(lock: LockName): Promise<number[]> {
  const found: number[] = [];
  for (const file of await fs.readdir(lock.folder)) {
    const [name, number = "", ending, ...more] = file.split(".");
    if (name === lock.name && ending === "json" && more.length === 0 && /^[1-9]\d{0,14}$/.test(number))
      found.push(Number(number));
  }
  return found.sort((a, b) => a - b);
}

async function take(lock: LockName, mine: string, generation: number): Promise<boolean> {
  try {
    await fs.link(mine, fileOf(lock, generation));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
  const all = await generations(lock);
  if (all.at(-1) !== generation) {
    await fs.rm(fileOf(lock, generation), { force: true });
    return false;
  }
  const old = all.filter((known) => known <= generation - KEPT_GENERATIONS);
  await Promise.all(old.map((known) => fs.rm(fileOf(lock, known), { force: true })));
  return true;
}

async function release(lock: LockName, generation: number): Promise<void> {
  const free = passingFile(lock);
  await fs.writeFile(free, JSON.stringify(FREE));
  await fs.rename(free, fileOf(lock, generation));
}

/** Who wrote the file; nobody, if it is not there or no lock: links are made of whole files, so that is no live holder's. */
async function readHolder(path: string): Promise<ProcessIdentity> {
  try {
    return { ...FREE, ...(JSON.parse(await fs.readFile(path, "utf8")) as ProcessIdentity) };
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === "ENOENT") return FREE;
    throw error;
  }
}

async function startTicks(pid: number): Promise<string> {
  const stat = await fs.readFile(`/proc/${Number(pid)}/stat`, "utf8").catch(() => "");
  // The program's name, in parentheses, may hold spaces: count from after it. starttime is field 22.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}
