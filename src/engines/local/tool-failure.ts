import { StorageError } from "../../errors/storage-error.js";
import { ExecError } from "../../os/exec.js";

/** mount(8), umount(8): the system call failed, as opposed to a wrong call of the program. */
const MOUNT_FAILED = 32;
/** e2fsck(8): errors were left uncorrected. */
const E2FSCK_LEFT_ERRORS = 4;

/** What a failed tool means, by its exit code first and its words second. Anything that is no ExecError is returned as it is. */
export function classifyToolFailure(error: unknown): unknown {
  if (!(error instanceof ExecError)) return error;
  const words = error.stderr.trim();
  const failure = (code: StorageError["code"], message: string) => new StorageError(code, message, { cause: error });
  if (error.reason === "missing") {
    return failure("failed-precondition", `${error.program} is not installed on this node: install it and retry`);
  }
  if (error.program === "e2fsck" && ((error.exitCode ?? 0) & E2FSCK_LEFT_ERRORS) !== 0) {
    return failure("failed-precondition", `the filesystem has errors that e2fsck does not repair by itself: ${words}`);
  }
  if ((error.program === "mount" || error.program === "umount") && error.exitCode === MOUNT_FAILED) {
    return failure("failed-precondition", `${error.program} failed: ${words}`);
  }
  if (error.program === "resize2fs" && /permission denied/i.test(words)) {
    return failure(
      "failed-precondition",
      "this node may not grow a mounted ext4 (CAP_SYS_RESOURCE is missing): it is grown when the volume is staged next",
    );
  }
  if (/no space left|ENOSPC/i.test(words))
    return failure("resource-exhausted", `${error.program}: no space is left on this node`);
  return failure("internal", error.message);
}
