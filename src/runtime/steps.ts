/**
 * The points between durable steps, by name. A crash test has the process killed at each of them, one after the other,
 * and looks at what a restart makes of it: a step that is added here without a test of its own fails the count.
 */
export const STEPS = [
  "image/folder-made",
  "image/sized",
  "image/copied",
  "copy-volume/intended",
  "create-volume/source-copied",
  "create-volume/image-made",
  "create-volume/recorded",
  "create-volume/placed",
  "delete-volume/intended",
  "delete-volume/moved",
  "delete-volume/forgotten",
  "delete-volume/removed",
  "delete-volume/ended",
  "expand-volume/intended",
  "expand-volume/resized",
  "expand-volume/recorded",
  "modify-volume/recorded",
  "publish-volume/recorded",
  "unpublish-volume/recorded",
  "cut/frozen",
  "cut/copied",
  "cut/thawed",
  "create-snapshots/intended",
  "create-snapshots/member-copied",
  "create-snapshots/recorded",
  "delete-snapshots/intended",
  "delete-snapshots/moved",
  "delete-snapshots/forgotten",
  "delete-snapshots/removed",
  "delete-snapshots/ended",
  "format/intended",
  "format/made",
  "format/recorded",
  "format/raw-recorded",
  "node-stage/begun",
  "node-stage/attached",
  "node-stage/recorded",
  "node-stage/mounted",
  "node-unstage/begun",
  "node-unstage/unmounted",
  "node-unstage/detached",
  "node-unstage/recorded",
  "node-publish/begun",
  "node-publish/recorded",
  "node-publish/bound",
  "node-unpublish/begun",
  "node-unpublish/unmounted",
  "node-unpublish/target-removed",
  "node-unpublish/recorded",
  "node-expand/device-grown",
  "node-expand/filesystem-grown",
  "ephemeral-publish/image-made",
  "ephemeral-publish/attached",
  "ephemeral-publish/formatted",
  "ephemeral-publish/mounted",
  "ephemeral-unpublish/unmounted",
  "ephemeral-unpublish/detached",
  "ephemeral-unpublish/removed",
] as const;

/** The object store's, in each of its processes: main, writer and workers. */
export const OBJECT_STEPS = [
  // In the worker that serves the request.
  "object-generation/leased",
  "object-generation/made",
  "object-body/created",
  "object-body/written",
  "object-body/synced",
  "object-body/discarded",
  "object-put/stored",
  "object-put/committed",
  "object-delete/committed",
  "object-copy/committed",
  "object-part/stored",
  "object-part/committed",
  "object-complete/prepared",
  "object-complete/committed",
  // In the writer: within the transaction, and between its commit and the answers.
  "object-writer/createBucket-applied",
  "object-writer/createBucket-committed",
  "object-writer/changeBucket-applied",
  "object-writer/changeBucket-committed",
  "object-writer/deleteBucket-applied",
  "object-writer/deleteBucket-committed",
  "object-writer/put-applied",
  "object-writer/put-committed",
  "object-writer/delete-applied",
  "object-writer/delete-committed",
  "object-writer/copy-applied",
  "object-writer/copy-committed",
  "object-writer/rename-applied",
  "object-writer/rename-committed",
  "object-writer/changeVersion-applied",
  "object-writer/changeVersion-committed",
  "object-writer/createUpload-applied",
  "object-writer/createUpload-committed",
  "object-writer/putPart-applied",
  "object-writer/putPart-committed",
  "object-writer/complete-applied",
  "object-writer/complete-committed",
  "object-writer/abort-applied",
  "object-writer/abort-committed",
  "object-writer/lease-applied",
  "object-writer/lease-committed",
  "object-writer/seal-applied",
  "object-writer/seal-committed",
  "object-writer/beginSweep-applied",
  "object-writer/beginSweep-committed",
  "object-writer/forgetGarbage-applied",
  "object-writer/forgetGarbage-committed",
  // In the supervisor.
  "object-garbage/unlinked",
  "object-sweep/removed",
] as const satisfies readonly string[];

/** The CephFS engine's: the next controller goes on from each of them. */
export const CEPHFS_STEPS = [
  "cephfs-create/claimed",
  "cephfs-create/made",
  "cephfs-create/recorded",
  "cephfs-copy/claimed",
  "cephfs-copy/cut",
  "cephfs-copy/begun",
  "cephfs-copy/sized",
  "cephfs-copy/source-freed",
  "cephfs-copy/recorded",
  "cephfs-delete/marked",
  "cephfs-delete/revoked",
  "cephfs-delete/removed",
  "cephfs-delete/forgotten",
  "cephfs-expand/grown",
  "cephfs-expand/recorded",
  "cephfs-publish/recorded",
  "cephfs-publish/authorized",
  "cephfs-publish/key-kept",
  "cephfs-unpublish/key-gone",
  "cephfs-unpublish/revoked",
  "cephfs-unpublish/recorded",
  "cephfs-snapshot/claimed",
  "cephfs-snapshot/cut",
  "cephfs-snapshot/recorded",
  "cephfs-delete-snapshot/marked",
  "cephfs-delete-snapshot/removed",
  "cephfs-delete-snapshot/forgotten",
] as const satisfies readonly string[];

/** Buckets of the engine on an upstream S3 service: the next gateway goes on from each of them. */
export const UPSTREAM_STEPS = [
  "upstream-bucket/claimed",
  "upstream-bucket/made",
  "upstream-bucket/changed",
  "upstream-bucket/versioning-set",
  "upstream-bucket/deleting",
  "upstream-bucket/removed",
  "upstream-bucket/notes-removed",
] as const satisfies readonly string[];

/** The controller's, on RBD. */
export const RBD_STEPS = [
  "rbd-lock/taken",
  "rbd-create/source-cut",
  "rbd-create/image-made",
  "rbd-create/source-released",
  "rbd-create/prepared",
  "rbd-create/recorded",
  "rbd-delete/hidden",
  "rbd-delete/renamed",
  "rbd-delete/trashed",
  "rbd-expand/resized",
  "rbd-expand/recorded",
  "rbd-modify/applied",
  "rbd-modify/recorded",
  "rbd-publish/recorded",
  "rbd-unpublish/fenced",
  "rbd-unpublish/recorded",
  "rbd-snapshot/claimed",
  "rbd-snapshot/cut",
  "rbd-snapshot/recorded",
  "rbd-delete-snapshot/hidden",
  "rbd-delete-snapshot/removed",
  "rbd-delete-snapshot/unclaimed",
  "rbd-group/claimed",
  "rbd-group/members-claimed",
  "rbd-group/cut",
  "rbd-group/members-recorded",
  "rbd-group/recorded",
  "rbd-delete-group/hidden",
  "rbd-delete-group/members-removed",
  "rbd-delete-group/unclaimed",
] as const satisfies readonly string[];

/** Whatever service they are of: what GRANARY_CRASH_AT may be. */
export const ALL_STEPS = [...STEPS, ...OBJECT_STEPS, ...CEPHFS_STEPS, ...UPSTREAM_STEPS, ...RBD_STEPS] as const;

export type Step = (typeof ALL_STEPS)[number];

let crashAt: string | undefined;

/** Has the process kill itself (SIGKILL) when it comes to this step. For tests: GRANARY_CRASH_AT. */
export function crashAtStep(name: Step): void {
  crashAt = name;
}

/** Whether any step is waited for: where the name of a step is not there without work. */
export const watchesSteps = (): boolean => crashAt !== undefined;

/** Says that a step has been taken. Costs a comparison. */
export function step(name: Step): void {
  if (name === crashAt) process.kill(process.pid, "SIGKILL");
}
