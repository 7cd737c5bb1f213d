import { StorageError } from "../../../errors/storage-error.js";
import type { Context } from "../../types.js";
import type { CephCluster } from "../cluster.js";
import type { Share } from "./share.js";

const KEY = /^[A-Za-z0-9+/]{20,}={0,2}$/;

/**
 * The key of the volume's own Ceph user, which the controller laid where this node reads it when it published the volume,
 * and takes away when it unpublishes it.
 *
 * @throws StorageError failed-precondition when there is none: the volume is not published to this node
 */
export async function readKey(ctx: Context, cluster: CephCluster, volumeId: string, share: Share): Promise<string> {
  const { keyPool, keyNamespace, keyObject } = share;
  let key: string;
  try {
    const args = ["--pool", keyPool, "--namespace", keyNamespace, "get", keyObject, "-"];
    key = (await cluster.run(ctx, "rados", args)).stdout.trim();
  } catch (error) {
    if (!(error instanceof StorageError) || error.code !== "not-found") throw error;
    throw new StorageError(
      "failed-precondition",
      `volume ${volumeId} is not published to this node: its key was taken back; publish it again`,
      { cause: error },
    );
  }
  // Never in the message.
  if (!KEY.test(key)) throw new StorageError("failed-precondition", `the key of volume ${volumeId} is damaged`);
  return key;
}
