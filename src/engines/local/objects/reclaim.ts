import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { messageOf } from "../../../errors/storage-error.js";
import { every } from "../../../runtime/every.js";
import { step } from "../../../runtime/steps.js";
import { Collector } from "./bodies/collector.js";
import { sweepGeneration } from "./bodies/sweep.js";
import type { WriterClient } from "./client.js";
import { readU64 } from "./codec.js";
import { sequenceKey } from "./keys.js";
import type { Tables } from "./tables.js";

/**
 * Gives space back while the store serves: unlinks what nobody refers to any more, and looks through the folders of
 * processes that ended for files that no metadata names. Runs in one process of a store.
 */
export interface Reclaim {
  /** Files and folders that could not be removed or looked through; they are tried again. */
  readonly stuck: number;
  /** A process that served has ended: what it wrote and did not commit is removed. */
  processEnded(pid: number): void;
  /** Settles when nothing of it runs. */
  close(): Promise<void>;
}

const LOOK_MS = 500;
// A process's last requests may still lie in its socket when it has ended.
const LAST_COMMITS_MS = 1000;
/** Before a folder that could not be looked through is tried again: the first time, and at most. */
const SWEEP_RETRY_MS = 5000;
const MAX_SWEEP_RETRY_MS = 300_000;

/** `dir`: the folder of bodies. Every generation that is open now is of a process that has ended. */
export function startReclaim(dir: string, tables: Tables, client: WriterClient, log: Logger): Reclaim {
  const isOpen = (generation: number) => {
    tables.root.resetReadTxn();
    return tables.generations.doesExist(sequenceKey(generation));
  };
  const collector = new Collector({
    dir,
    log,
    garbage: {
      take: (limit, after) => client.call("takeGarbage", { limit, after }),
      forget: async (bodyIds) => void (await client.call("forgetGarbage", { bodyIds })),
      isOpen,
    },
  });
  const sweeping = new Set<Promise<void>>();
  const unswept = new Set<number>();
  const stopped = new AbortController();
  const sweep = (generations: readonly number[], waitMs: number) => {
    const run = sweepAll(generations, waitMs).finally(() => sweeping.delete(run));
    sweeping.add(run);
  };
  async function sweepAll(generations: readonly number[], waitMs: number): Promise<void> {
    if (generations.length === 0) return;
    await sleep(waitMs, undefined, { signal: stopped.signal }).catch(() => undefined);
    for (const generation of generations) {
      // The next start finds it open, and looks then.
      if (stopped.signal.aborted) return;
      try {
        await client.call("beginSweep", { generation });
        tables.root.resetReadTxn();
        const has = (bodyId: number) =>
          tables.bodies.doesExist(sequenceKey(bodyId)) || tables.garbage.doesExist(sequenceKey(bodyId));
        const { removed } = await sweepGeneration(dir, generation, { has });
        step("object-sweep/removed");
        await client.call("seal", { generation });
        unswept.delete(generation);
        if (removed > 0) log.info({ generation, removed }, "removed files of uploads that were never finished");
      } catch (error) {
        if (stopped.signal.aborted) return;
        log.warn({ generation, error: messageOf(error) }, "a folder of bodies could not be cleared; it is tried again");
        unswept.add(generation);
        sweep([generation], Math.min(Math.max(2 * waitMs, SWEEP_RETRY_MS), MAX_SWEEP_RETRY_MS));
      }
    }
  }
  sweep(openGenerations(tables), 0);
  const stop = every(LOOK_MS, async () => {
    tables.root.resetReadTxn();
    for (const _ of tables.garbage.getKeys({ limit: 1 })) collector.kick();
    await collector.settled();
  });
  return {
    get stuck() {
      return collector.stuck + unswept.size;
    },
    processEnded: (pid) => {
      tables.root.resetReadTxn();
      sweep(openGenerations(tables, pid), LAST_COMMITS_MS);
    },
    async close() {
      stopped.abort();
      await stop();
      await collector.close();
      while (sweeping.size > 0) await Promise.allSettled(sweeping);
    },
  };
}

/** Those that are leased; `pid`: to this process. */
function openGenerations(tables: Tables, pid?: number): number[] {
  const found: number[] = [];
  for (const { key, value } of tables.generations.getRange({}))
    if (pid === undefined || readU64(value, 0) === pid) found.push(readU64(key, 0));
  return found;
}
