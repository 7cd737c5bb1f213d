import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Run } from "../world.js";
import type { Contender } from "./contenders.js";
import { newCredentials, ObjectServer } from "./object-server.js";

/** What a benchmark of the object store is run with. */
export interface ObjectRun extends Run {
  /** Counted ones; one more before them is not. */
  rounds: number;
  /** On the disk that is measured; taken away in the end. */
  dir: string;
  /** Where the peers' programs are. */
  tools: string;
  /** Those that can be started here, Granary first. */
  contenders: readonly Contender[];
  /** How many keys the bucket to list has: Granary's, and the peers' own, which may be smaller. */
  listing: { keys: number; peerKeys: number };
  /** The load generator of others, or why it is not here. */
  warp: { program: string } | { absent: string };
  /** Something failed that is no missed target: told in the end, and Granary's make the exit code 1. */
  problem(contender: Contender, text: string): void;
}

/**
 * Starts each contender on a fresh folder, hands those that started to `work`, and ends them and takes their folders
 * away, whatever `work` did.
 */
export async function withServers<T>(
  run: ObjectRun,
  contenders: readonly Contender[],
  work: (servers: readonly ObjectServer[]) => Promise<T>,
  wrapper?: (dir: string) => readonly string[],
): Promise<T> {
  const dir = mkdtempSync(join(run.dir, "servers-"));
  const servers: ObjectServer[] = [];
  try {
    for (const contender of contenders) {
      run.signal.throwIfAborted();
      const place = join(dir, contender.name);
      const server = new ObjectServer(contender, {
        dir: place,
        tools: run.tools,
        credentials: newCredentials(),
        signal: run.signal,
        wrapper: wrapper?.(place) ?? [],
      });
      servers.push(server);
      try {
        await server.start();
        await server.createBucket(BUCKET);
      } catch (error) {
        run.signal.throwIfAborted();
        run.problem(contender, String(error));
        servers.pop();
        await server.stop();
      }
    }
    return await work(servers);
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
    rmSync(dir, { recursive: true, force: true });
  }
}

/** The bucket that every server starts with. */
export const BUCKET = "bench";
