import { z } from "zod";
import { StorageError } from "../../../errors/storage-error.js";
import type { Context } from "../../types.js";
import { BLOCKLIST_SECONDS, type CephCluster, type CephContext } from "../cluster.js";
import { type Client, type Images, isCode, type Place } from "./images.js";
import { hashOf } from "./names.js";
import { type ClientRecord, clientKey } from "./records.js";

const ManagerAnswer = z.object({
  active_clients: z
    .array(z.object({ addrvec: z.array(z.object({ addr: z.string(), nonce: z.number() })) }))
    .default([]),
});
/** How long a client that no publication explains may take to be gone: a controller's own tools open images too. */
const PATIENCE_MS = 2_000;
const LOOK_AGAIN_MS = 250;

/** The clients of an image that are nodes': without the manager's, that flattens. */
export async function nodeClients(
  world: { cluster: CephCluster; images: Images },
  ctx: CephContext,
  place: Place,
  image: string,
): Promise<Client[]> {
  const clients = await world.images.clients(ctx, place, image);
  if (clients.length === 0) return [];
  const answer = ManagerAnswer.parse(await world.cluster.json(ctx, "ceph", ["mgr", "dump"]));
  const managers = new Set(
    answer.active_clients.flatMap(({ addrvec }) => addrvec.map(({ addr, nonce }) => `${bare(addr)}/${nonce}`)),
  );
  return clients.filter(({ address }) => !managers.has(bare(address)));
}

/** The same once those that only look at the image have gone: what stays has it attached. */
export async function lastingClients(
  world: { cluster: CephCluster; images: Images },
  ctx: CephContext,
  place: Place,
  image: string,
): Promise<Client[]> {
  const endMs = performance.now() + PATIENCE_MS;
  let known: Set<string> | undefined;
  for (;;) {
    const clients = await nodeClients(world, ctx, place, image);
    const lasting = clients.filter(({ address }) => known?.has(address) ?? true);
    if (lasting.length === 0) return [];
    known = new Set(lasting.map(({ address }) => address));
    if (performance.now() > endMs) return lasting;
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
}

/** Without the port and the type that only some of Ceph's answers show. */
const bare = (address: string) => address.replace(/^(?:v[12]|any):/, "");

/**
 * Keeps one client of the cluster from writing, for ever as far as its writes are concerned: what it sent before and the
 * storage has not done yet is refused too. Takes its lock, so that the next one need not wait for it to run out. Again is
 * fine.
 */
export async function fence(
  world: { cluster: CephCluster; images: Images },
  ctx: Context,
  place: Place,
  image: string,
  client: Pick<Client, "address"> & Partial<Client>,
): Promise<void> {
  if (!/^[0-9a-fA-F.:[\]]+\/\d+$/.test(client.address))
    throw new StorageError(
      "internal",
      `${JSON.stringify(client.address)} is no address of a client: nothing is fenced`,
    );
  ctx.log.warn({ image, address: client.address }, "fencing a client that still has the volume attached");
  await world.cluster.run(ctx, "ceph", ["osd", "blocklist", "add", client.address, String(BLOCKLIST_SECONDS)]);
  if (client.lockId === undefined || client.name === undefined) return;
  await world.images.breakLock(ctx, place, image, client.lockId, client.name).catch((error: unknown) => {
    // Released in the meantime.
    if (!isCode(error, "not-found")) throw error;
  });
}

export interface Departure {
  place: Place;
  image: string;
  /** Who is said to have it attached (records.ts, clientKey). */
  recorded: readonly ClientRecord[];
  /** "": every node. */
  nodeId: string;
  /** Nobody has it published after this. */
  isLast: boolean;
}

/**
 * Fences what a node that gives a volume up still has of it: the address that it recorded, and, when it is the last one,
 * every client that has the image open or locked. A node that detached has left none of these.
 *
 * @returns the addresses
 */
export async function fenceDeparting(
  world: { cluster: CephCluster; images: Images },
  ctx: Context,
  { place, image, recorded, nodeId, isLast }: Departure,
): Promise<string[]> {
  const theirs = recorded.filter((one) => nodeId === "" || one.nodeId === nodeId);
  const clients = isLast ? await lastingClients(world, ctx, place, image) : [];
  const known = clients.map(({ address }) => address);
  for (const client of clients) await fence(world, ctx, place, image, client);
  const locks = theirs.length === 0 || isLast ? clients : await nodeClients(world, ctx, place, image);
  for (const { address } of theirs.filter((one) => !known.includes(one.address)))
    await fence(world, ctx, place, image, locks.find((client) => client.address === address) ?? { address });
  for (const one of theirs) await world.images.removeMetadata(ctx, place, image, clientKey(hashOf(one.nodeId)));
  return [...new Set([...known, ...theirs.map(({ address }) => address)])];
}
