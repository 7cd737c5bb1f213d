import type { Context } from "../../types.js";
import { BLOCKLIST_SECONDS, type CephCluster } from "../cluster.js";
import type { Attachment } from "./attachments.js";
import { watchersOf } from "./facts.js";
import type { RbdImage } from "./image.js";

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
  before: Attachment,
): Promise<void> {
  const { client } = before;
  if (client === undefined || !(await watchersOf(ctx, cluster, image)).includes(client)) return;
  ctx.log.warn({ volumeId: image.volumeId, client }, "a dead client of this node still holds the image: cut off");
  await cluster.run(ctx, "ceph", ["osd", "blocklist", "add", client, String(BLOCKLIST_SECONDS)]);
}
