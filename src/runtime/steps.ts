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
export const OBJECT_STEPS = [] as const satisfies readonly string[];

export type Step = (typeof STEPS)[number] | (typeof OBJECT_STEPS)[number];

let crashAt: string | undefined;

/** Has the process kill itself (SIGKILL) when it comes to this step. For tests: GRANARY_CRASH_AT. */
export function crashAtStep(name: Step): void {
  crashAt = name;
}

/** Says that a step has been taken. Costs a comparison. */
export function step(name: Step): void {
  if (name === crashAt) process.kill(process.pid, "SIGKILL");
}
