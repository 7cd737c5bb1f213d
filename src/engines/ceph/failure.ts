import { constants } from "node:os";
import { StorageError, type StorageErrorCode } from "../../errors/storage-error.js";
import { ExecError } from "../../os/exec.js";

const { errno } = constants;
/** Ceph's name of ESHUTDOWN: the client is blocklisted. */
const EBLOCKLISTED = 108;

const CODES: Readonly<Record<number, StorageErrorCode>> = {
  [errno.ENOENT]: "not-found",
  [errno.EEXIST]: "already-exists",
  [errno.EBUSY]: "aborted",
  [errno.EAGAIN]: "aborted",
  [errno.ETIMEDOUT]: "unavailable",
  [errno.ENOTCONN]: "unavailable",
  [errno.ECONNREFUSED]: "unavailable",
  [errno.EHOSTUNREACH]: "unavailable",
  [errno.EDQUOT]: "resource-exhausted",
  [errno.ENOSPC]: "resource-exhausted",
  [errno.EPERM]: "failed-precondition",
  [errno.EACCES]: "failed-precondition",
  [errno.EROFS]: "failed-precondition",
  [errno.ENOTEMPTY]: "failed-precondition",
  [errno.EINVAL]: "invalid-argument",
  [EBLOCKLISTED]: "failed-precondition",
};

export interface FailedCall {
  cluster: string;
  user: string;
  /** Without those that say who asks: the first word names the command. */
  args: readonly string[];
}

/**
 * What the failure of one of Ceph's tools means. Its exit code is an errno with `rbd` and `ceph`; `rados`, and all of them
 * where they do not reach the cluster, exit with 1 and say the errno in words.
 *
 * What is no ExecError (a deadline) is returned as it is. Nothing in the message is secret: the tools print no keys.
 */
export function cephFailure(error: unknown, call: FailedCall): unknown {
  if (!(error instanceof ExecError)) return error;
  const failed = (code: StorageErrorCode, message: string) => new StorageError(code, message, { cause: error });
  if (error.reason === "missing")
    return failed("failed-precondition", `${error.program} is not installed here: install Ceph's tools (ceph-common)`);
  const what = `${error.program} ${command(call.args)}`;
  const said = lastWords(error.stderr);
  const number = errnoOf(error);
  if (/couldn't connect to the cluster|error connecting to the cluster|couldn't connect to cluster/.test(error.stderr))
    return number === errno.EACCES || number === errno.EPERM || number === errno.ENOENT
      ? failed(
          "failed-precondition",
          `Ceph cluster ${call.cluster} does not take user client.${call.user} with its key`,
        )
      : failed("unavailable", `Ceph cluster ${call.cluster} does not answer: ${said}`);
  const code = number === undefined ? "internal" : (CODES[number] ?? "internal");
  if (number === errno.EPERM || number === errno.EACCES)
    return failed(code, `${what}: client.${call.user} may not do this on cluster ${call.cluster}: ${CAPS}`);
  return failed(code, `${what} on cluster ${call.cluster}: ${said}`);
}

const CAPS =
  "it needs the caps mon 'profile rbd' mgr 'profile rbd' osd 'profile rbd pool=POOL' for block volumes, mon 'allow r' mgr 'allow rw' osd and mds of the file system for shared ones, and mon 'allow command \"osd blocklist\"' to fence";

/** `image-meta set`: the words before the first that is an option or names something. */
function command(args: readonly string[]): string {
  const words = args.slice(0, 4);
  const end = words.findIndex((one) => !/^[a-z-]+$/.test(one) || one.startsWith("-"));
  return (end < 0 ? words : words.slice(0, end)).join(" ");
}

const BY_NAME = errno as unknown as Readonly<Record<string, number>>;

/** The errno that a tool failed with, if it told one. Looks through a StorageError at its cause. */
export function errnoOf(error: unknown): number | undefined {
  const failure = error instanceof StorageError ? error.cause : error;
  if (!(failure instanceof ExecError)) return undefined;
  // 1 is EPERM as well as "failed": the words tell.
  if (failure.exitCode !== null && failure.exitCode > 1) return failure.exitCode;
  const inWords = [...failure.stderr.matchAll(/\((\d{1,3})\) [A-Z]|\[errno (\d{1,3})\]|Error (E[A-Z]+)\b/g)].at(-1);
  if (inWords) return inWords[3] === undefined ? Number(inWords[1] ?? inWords[2]) : BY_NAME[inWords[3]];
  return undefined;
}

/** What the tool itself said, without the lines of its libraries' logs, which begin with a time. */
function lastWords(stderr: string): string {
  const lines = stderr.split(/[\r\n]+/).map((line) => line.trim());
  const said = lines.filter((line) => line !== "" && !/^\d{4}-\d\d-\d\dT/.test(line));
  return (said.at(-1) ?? lines.filter((line) => line !== "").at(-1) ?? "it did not say why").slice(0, 500);
}
