import { setTimeout as sleep } from "node:timers/promises";
import { messageOf } from "../../../errors/storage-error.js";
import { parseId } from "../../../model/volume-id.js";
import type { Context } from "../../types.js";
import { BLOCKLIST_SECONDS, type CephCluster } from "../cluster.js";
import { hashOf } from "../rbd/names.js";
import { type ClientRecord, clientKey } from "../rbd/records.js";
import type { Attachment } from "./attachments.js";
import { watchersOf } from "./facts.js";
import type { RbdImage } from "./image.js";

/*
 * Who has an image attached is written into the image's metadata before its device is used: by that the controller cuts
 * off a node that does not answer any more, and no other (src/engines/ceph/rbd/fencing.ts).
 */

/**
 * Cuts off the client of an earlier attachment of this node, when the cluster still takes it for alive: the next one would
 * wait half a minute for the image's lock. That client's address alone, whose nonce no other client ever has; and only for
 * an image that is this node's to attach now.
 *
 * @param before of an attachment that has neither a device nor a process any more: its mapper has made sure of that
 */
export async function releaseDeadClient(
  ctx: Context,
  cluster: CephCluster,
  image: RbdImage,
  { client }: Attachment,
): Promise<void> {
  if (client === undefined || !(await watchersOf(ctx, cluster, image)).includes(client)) return;
  ctx.log.warn({ volumeId: image.volumeId, client }, "a dead client of this node still holds the image: cut off");
  await cluster.run(ctx, "ceph", ["osd", "blocklist", "add", client, String(BLOCKLIST_SECONDS)]);
}

const LOOKS = 10;
const LOOK_AGAIN_MS = 300;

/**
 * The client that has opened the image since `before` was looked at. Of several, those that only looked at it go away soon;
 * undefined when more than one stays: none of them is known to be this node's then.
 */
export async function newClient(
  ctx: Context,
  cluster: CephCluster,
  image: RbdImage,
  before: readonly string[],
): Promise<string | undefined> {
  for (let look = 0; look < LOOKS; look++) {
    const since = (await watchersOf(ctx, cluster, image)).filter((address) => !before.includes(address));
    if (since.length < 2) return since[0];
    await sleep(LOOK_AGAIN_MS, undefined, { signal: ctx.signal });
  }
  return undefined;
}

/** Writes the attachment's client into the image's metadata. */
export async function announceClient(
  ctx: Context,
  cluster: CephCluster,
  spec: string,
  client: ClientRecord,
): Promise<void> {
  const key = clientKey(hashOf(client.nodeId));
  await cluster.run(ctx, "rbd", ["image-meta", "set", spec, key, JSON.stringify(client)]);
}

/** Takes it out again, once the image is unmapped. A cluster that does not answer keeps it: it names a dead client then. */
export async function withdrawClient(
  ctx: Context,
  clusterOf: (name: string) => CephCluster | undefined,
  nodeId: string,
  { volumeId, spec, client }: Attachment,
): Promise<void> {
  const cluster = clusterOf(parseId(volumeId)?.parts[0]?.split(".")[0] ?? "");
  if (client === undefined || !cluster) return;
  try {
    await cluster.run(ctx, "rbd", ["image-meta", "remove", spec, clientKey(hashOf(nodeId))]);
  } catch (error) {
    ctx.log.warn({ volumeId, error: messageOf(error) }, "the image still names this node's client, which is gone");
  }
}
