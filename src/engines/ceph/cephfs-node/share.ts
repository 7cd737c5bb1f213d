import { z } from "zod";
import { StorageError } from "../../../errors/storage-error.js";
import type { MountEntry } from "../../../os/mount.js";
import type { NodeRef } from "../../attacher.js";

/** They become words of mount options: nothing that ends one, or begins another. */
const word = z.string().regex(/^[A-Za-z0-9._-]{1,200}$/);

const Shape = z.looseObject({
  cluster: word,
  filesystem: word,
  path: z.string().regex(/^(\/[A-Za-z0-9._-]{1,200}){2,8}$/),
  userId: word,
  keyPool: word,
  keyNamespace: word,
  keyObject: word,
  readonly: z.enum(["true", "false"]),
  mounter: z.enum(["", "kernel", "fuse"]),
});

/** What the engine's publish() says of a volume to its node. The key is not in it: see key.ts. */
export type Share = z.infer<typeof Shape>;

/** @throws StorageError failed-precondition for a publish context that the CephFS engine did not make */
export function shareOf(ref: NodeRef): Share {
  const parsed = Shape.safeParse(ref.publishContext);
  if (parsed.success) return parsed.data;
  const field = String(parsed.error.issues[0]?.path[0] ?? "");
  throw new StorageError(
    "failed-precondition",
    `publish_context[${field}] of volume ${ref.volumeId} is not as ControllerPublishVolume answered it; publish it again`,
  );
}

/**
 * What a mount of the volume proves itself by. The last folder of the path is the subvolume's random UUID, that Ceph gave
 * it when it was made: no other volume has it, in whatever cluster.
 */
export const identityOf = ({ cluster, filesystem, path }: Share): string => `${cluster}/${filesystem}:${path}`;

const pathOf = (identity: string): string => identity.slice(identity.indexOf(":") + 1);

/**
 * ceph-fuse's own source in mountinfo is its program's name, of all its mounts. FUSE takes another, from root alone, and
 * the kernel shows it as long as the mount is there: the identity itself.
 */
export const fuseSource = (identity: string): string => `granary-cephfs:${identity}`;

/**
 * The kernel's source is MONITORS:PATH, the path as the mount's own option gave it to the kernel.
 */
export function isMountOf(entry: Pick<MountEntry, "fsType" | "source">, identity: string): boolean {
  if (entry.fsType === "ceph") return entry.source.endsWith(`:${pathOf(identity)}`);
  return /^fuse(\.|$)/.test(entry.fsType) && entry.source === fuseSource(identity);
}
