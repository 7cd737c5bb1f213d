import { stat } from "node:fs/promises";
import { messageOf, StorageError } from "../../../../errors/storage-error.js";
import type { ScrubProgress } from "../../../object-engine.js";
import { isMissing } from "./disk.js";
import { fileBytes } from "./format.js";
import { bodyPath } from "./generation-folders.js";
import type { BodyStore, ScrubItem, ScrubSource, StoredBody } from "./types.js";

/** Findings beyond these are counted by the metric and the log alone. */
const MOST_FINDINGS = 1000;
const PROGRESS_MS = 250;
/** Small objects are verified without a wait for anything: others of this process must have their turn. */
const TURN_MS = 5;

export interface ScrubOptions {
  readonly bodies: BodyStore;
  /** The folder of bodies. */
  readonly dir: string;
  readonly signal: AbortSignal;
  /** Told of each finding. */
  readonly onDamaged?: () => void;
  /** Rereads no more than this; undefined: as fast as it goes. */
  readonly bytesPerSecond?: number;
}

/**
 * Rereads and verifies what the source names. Yields at its start, every quarter of a second, and at its end with `done`.
 *
 * @throws StorageError when the disk cannot be asked at all (busy, read failures that are no damage); cancelled
 */
export async function* scrubObjects(source: ScrubSource, options: ScrubOptions): AsyncGenerator<ScrubProgress> {
  const { signal, bytesPerSecond } = options;
  const { totalObjects } = source;
  const damaged: ScrubProgress["damaged"][number][] = [];
  const startMs = performance.now();
  let toldMs = startMs;
  let turnMs = startMs;
  let objects = 0;
  let bytes = 0;
  const progress = (done: boolean): ScrubProgress => ({ objects, bytes, totalObjects, damaged: [...damaged], done });
  yield progress(false);
  for await (const item of source.items()) {
    try {
      for await (const got of verify(item, options, (problem) => {
        if (!item.current()) return;
        options.onDamaged?.();
        if (damaged.length < MOST_FINDINGS)
          damaged.push({ bucket: item.bucket, key: item.key, versionId: item.versionId, problem });
      })) {
        if (performance.now() - turnMs > TURN_MS) {
          await new Promise(setImmediate);
          turnMs = performance.now();
        }
        if (signal.aborted) throw new StorageError("cancelled", "the scrub was stopped");
        bytes += got;
        if (bytesPerSecond !== undefined) await pause(startMs + (bytes / bytesPerSecond) * 1000, signal);
        if (performance.now() - toldMs < PROGRESS_MS) continue;
        toldMs = performance.now();
        yield progress(false);
      }
      objects++;
    } finally {
      item.close();
    }
  }
  yield progress(true);
}

/** Yields how many bytes each step has verified; a finding ends the item. */
async function* verify(item: ScrubItem, options: ScrubOptions, found: (problem: string) => void) {
  const problem = item.inline();
  if (problem !== undefined) return found(problem);
  if (item.bodies.length === 0) {
    yield item.sizeBytes;
    return;
  }
  for (const body of item.bodies) {
    const problem = await lengthProblem(body, options.dir);
    if (problem !== undefined) return found(problem);
    // Whether it is a finding is known when the item was looked at again.
    const open = options.bodies.open(body, () => undefined);
    try {
      for await (const bytes of open.read(0, body.sizeBytes)) yield bytes.length;
    } catch (error) {
      if (!(error instanceof StorageError && error.reason === "damaged")) throw error;
      return found(messageOf(error));
    } finally {
      open.close();
    }
  }
}

/** What a read does not see: bytes behind the last chunk. */
async function lengthProblem(body: StoredBody, dir: string): Promise<string | undefined> {
  try {
    const { size } = await stat(bodyPath(dir, body.bodyId));
    const expected = fileBytes(body.sizeBytes);
    return size > expected ? `body ${body.bodyId} is damaged: its file has ${size} bytes, not ${expected}` : undefined;
  } catch (error) {
    if (isMissing(error)) return `body ${body.bodyId} is damaged: its file is missing`;
    throw error;
  }
}

/** Until the moment comes, or the signal. */
function pause(untilMs: number, signal: AbortSignal): Promise<void> | undefined {
  const ms = untilMs - performance.now();
  if (ms < 1) return undefined;
  return new Promise((resolve) => {
    const timer = setTimeout(end, ms);
    function end() {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    }
    signal.addEventListener("abort", end);
  });
}
