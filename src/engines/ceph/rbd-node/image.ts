import { StorageError } from "../../../errors/storage-error.js";
import { parseId } from "../../../model/volume-id.js";
import type { NodeRef } from "../../attacher.js";

/** An image as the publish context and the volume's id describe it. */
export interface RbdImage {
  volumeId: string;
  /** The config's name of the cluster. */
  cluster: string;
  pool: string;
  poolId: string;
  /** "": the pool's default one. */
  namespace: string;
  image: string;
  /** RBD's own, never used again. */
  imageId: string;
  /** What the controller published, in bytes; a later expand makes the image larger. */
  sizeBytes: bigint | undefined;
  /** It may be read and written at a certain rate alone (iops, bps): librbd sees to that by itself, from the image's metadata. */
  limited: boolean;
}

const refuse = (message: string) => new StorageError("failed-precondition", message);

/** Pool, namespace and image become arguments of tools: no option, no other image, no snapshot. */
const NAME = /^[^\s/@,-][^\s/@,]*$/;

/** @throws StorageError failed-precondition for what RBD's publish() did not answer */
export function imageOf(ref: NodeRef): RbdImage {
  const id = parseId(ref.volumeId);
  if (id?.engine !== "r" || id.kind !== "v") throw refuse(`volume ${ref.volumeId} is not an RBD volume`);
  const [place = "", , imageId = ""] = id.parts;
  const [cluster = "", poolId = ""] = place.split(".");
  const context = ref.publishContext;
  const wrong = (key: string, want: string) =>
    refuse(`publish_context.${key} of volume ${ref.volumeId} is ${JSON.stringify(context[key] ?? "")}, not ${want}`);
  if (context.cluster !== cluster) throw wrong("cluster", `${cluster}, as in the volume's id`);
  if (context.imageId !== imageId) throw wrong("imageId", `${imageId}, as in the volume's id`);
  const name = (key: "pool" | "image") => {
    const value = context[key];
    if (value === undefined || !NAME.test(value)) throw wrong(key, `a name that RBD takes; publish the volume again`);
    return value;
  };
  const namespace = context.namespace ?? "";
  if (namespace !== "" && !NAME.test(namespace)) throw wrong("namespace", "a name that RBD takes");
  const size = context.sizeBytes;
  if (size !== undefined && !/^\d{1,19}$/.test(size)) throw wrong("sizeBytes", "a count of bytes");
  return {
    ...{ volumeId: ref.volumeId, cluster, pool: name("pool"), poolId, namespace, image: name("image"), imageId },
    sizeBytes: size === undefined ? undefined : BigInt(size),
    limited: (context.iops ?? context.bps) !== undefined,
  };
}

/** `POOL/NAMESPACE/IMAGE`, as rbd takes it. */
export const specOf = ({ pool, namespace, image }: Pick<RbdImage, "pool" | "namespace" | "image">): string =>
  [pool, ...(namespace === "" ? [] : [namespace]), image].join("/");

/**
 * Names the image for ever: `FSID/POOL-ID/NAMESPACE/IMAGE-ID`. The pool's id and not its name, which may change while the
 * image is mapped.
 */
export const identityOf = (fsid: string, { poolId, namespace, imageId }: RbdImage): string =>
  [fsid, poolId, namespace, imageId].join("/");
