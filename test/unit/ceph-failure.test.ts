import { describe, expect, it } from "vitest";
import { cephFailure, errnoOf } from "../../src/engines/ceph/failure.js";
import { StorageError } from "../../src/errors/storage-error.js";
import { ExecError } from "../../src/os/exec.js";

const call = { cluster: "main", user: "granary", args: ["image-meta", "set", "pool/image", "key"] };
const failed = (program: string, exitCode: number, stderr: string) =>
  cephFailure(new ExecError(program, exitCode, stderr, "exit"), call) as StorageError;

describe("failures of Ceph's tools", () => {
  it.each([
    ["rbd", 2, "rbd: error opening image x: (2) No such file or directory", "not-found"],
    ["rbd", 17, "rbd: create error: (17) File exists", "already-exists"],
    ["rados", 1, "ERROR: failed locking: (16) Device or resource busy", "aborted"],
    ["ceph", 22, "Error EINVAL: invalid command", "invalid-argument"],
    ["rbd", 122, "rbd: create error: (122) Disk quota exceeded", "resource-exhausted"],
    ["rbd", 1, "rbd: create error: (1) Operation not permitted", "failed-precondition"],
    ["rbd", 108, "rbd: error: (108) Cannot send after transport endpoint shutdown", "failed-precondition"],
    ["rbd", 1, "rbd: something else", "internal"],
    ["rbd", 110, "rbd: couldn't connect to the cluster!", "unavailable"],
    ["ceph", 1, "[errno 110] RADOS timed out (error connecting to the cluster)", "unavailable"],
    ["ceph", 1, "[errno 13] RADOS permission denied (error connecting to the cluster)", "failed-precondition"],
  ])("%s, exit %i, %s: %s", (program, exitCode, stderr, code) => {
    expect(failed(program, exitCode, stderr).code).toBe(code);
  });

  it("names the command, the cluster and what the tool said, without its libraries' log", () => {
    const stderr =
      "2026-01-01T00:00:00.0+0000 7f00 -1 librbd::image::OpenRequest: failed\nrbd: create error: (17) File exists\n";
    expect(failed("rbd", 17, stderr).message).toBe(
      "rbd image-meta set on cluster main: rbd: create error: (17) File exists",
    );
  });

  it("tells the errno, through a StorageError too", () => {
    expect(errnoOf(failed("rbd", 39, ""))).toBe(39);
    expect(errnoOf(failed("rados", 1, "error: (2) No such file or directory"))).toBe(2);
    expect(errnoOf(new Error("x"))).toBeUndefined();
  });

  it("leaves a deadline as it is", () => {
    const late = new StorageError("deadline-exceeded", "late");
    expect(cephFailure(late, call)).toBe(late);
  });
});
