import { expect } from "vitest";
import { type Calls, fromVolume, MIB } from "./csi-requests.js";
import { failureOf, type TestServer } from "./server-harness.js";

/** `Operation NAME has been running on KEY for N ms`. */
const ABORTED_TELLS = /^[A-Z]\w+( .+)? has been running on .+ for \d+ ms/;

export interface ParallelWorld {
  server: TestServer;
  csi: Calls;
  /** Volumes at once: of 100 calls, that many names. */
  names: number;
  calls: number;
  /** What ABORTED may say beside that another call runs in this controller. */
  alsoAborted?: RegExp;
}

async function due(call: Promise<unknown>, alsoAborted: RegExp | undefined): Promise<"OK" | "ABORTED"> {
  const failure = await failureOf(call);
  if (failure.code === "OK") return "OK";
  const tells = alsoAborted?.test(failure.details) ? alsoAborted : ABORTED_TELLS;
  expect(failure).toEqual({ code: "ABORTED", details: expect.stringMatching(tells) as string });
  return "ABORTED";
}

/** As a sidecar does: ABORTED means that it may still be going on. */
async function again<T>(call: () => Promise<T>): Promise<T> {
  while ((await failureOf(call())).code === "ABORTED") await new Promise((resolve) => setTimeout(resolve, 500));
  return call();
}

const succeeded = (codes: readonly string[]) => codes.filter((code) => code === "OK").length;

/**
 * Rule 37 over an engine: many calls at once, over the same and different names, are done or ABORTED; there is one volume
 * a name, and no lock is left. Answers how many snapshots there are in the end: one a name.
 */
export async function checkParallelCalls(world: ParallelWorld): Promise<void> {
  const { server, csi, names: count, calls, alsoAborted } = world;
  const { client } = server;
  const expectDue = (call: Promise<unknown>) => due(call, alsoAborted);
  const names = Array.from({ length: count }, (_unused, i) => `name-${i}`);
  const creates = await Promise.all(
    Array.from({ length: calls }, (_unused, i) => expectDue(csi.create(names[i % count] ?? ""))),
  );
  expect(succeeded(creates)).toBeGreaterThanOrEqual(count);
  expect(creates.length - succeeded(creates)).toBeGreaterThan(0);
  expect((await client.call("Controller", "ListVolumes", {})).entries).toHaveLength(count);
  const ids = await Promise.all(names.map(async (name) => (await again(() => csi.create(name))).volume_id));
  expect(new Set(ids).size).toBe(count);

  const mixed = await Promise.all(
    Array.from({ length: calls }, (_unused, i) => {
      const id = ids[i % count] ?? "";
      const operations = [
        () => csi.snapshot(`snapshot-${i % count}`, id),
        () => csi.expand(id, 64 * MIB),
        () => csi.controllerPublish(id),
        () => csi.attach({ volume_id: id, volume_context: {} }),
        () => csi.create(`clone-${i % count}`, { volume_content_source: fromVolume(id), capacity_range: null }),
      ];
      return expectDue((operations[Math.floor(i / count) % operations.length] as () => Promise<unknown>)());
    }),
  );
  expect(succeeded(mixed)).toBeGreaterThanOrEqual(count);
  await expectNoLockLeft(csi, ids);

  const deletes = await Promise.all(
    Array.from({ length: calls }, (_unused, i) => expectDue(csi.remove(ids[i % count] ?? ""))),
  );
  expect(succeeded(deletes)).toBeGreaterThanOrEqual(count);
  expect((await client.call("Controller", "ListVolumes", {})).entries).toEqual([]);
  expect((await client.call("Controller", "ListSnapshots", {})).entries).toHaveLength(count);
}

/** Every volume can be operated on again, and every step taken back. */
async function expectNoLockLeft(csi: Calls, ids: readonly string[]): Promise<void> {
  for (const [i, id] of ids.entries()) {
    await csi.expand(id, 96 * MIB);
    await csi.snapshot(`snapshot-${i}`, id);
    const source = { volume_content_source: fromVolume(id), capacity_range: null };
    const clone = await again(() => csi.create(`clone-${i}`, source));
    await csi.attach({ volume_id: id, volume_context: {} });
    await csi.detach(id);
    await csi.remove(clone.volume_id);
  }
}
