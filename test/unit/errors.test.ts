import { status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { toGrpcFailure } from "../../src/errors/grpc-status.js";
import { STORAGE_ERROR_CODES, StorageError } from "../../src/errors/storage-error.js";
import { ExecError } from "../../src/os/exec.js";

describe("toGrpcFailure", () => {
  it.each(STORAGE_ERROR_CODES)("%s: the status of the same name, with the message", (code) => {
    const name = code.toUpperCase().replaceAll("-", "_") as keyof typeof status;
    const failure = toGrpcFailure(new StorageError(code, "what to do next"), "r-1");
    expect(failure).toEqual({ code: status[name], details: "what to do next" });
    expect(failure.code).toBeTypeOf("number");
  });

  it("every code has a status of its own", () => {
    const statuses = STORAGE_ERROR_CODES.map((code) => toGrpcFailure(new StorageError(code, "m"), "r-1").code);
    expect(new Set(statuses).size).toBe(STORAGE_ERROR_CODES.length);
    expect(statuses).not.toContain(status.OK);
  });

  it("a long message keeps its ends, and half a surrogate pair is replaced: gRPC must be able to encode it", () => {
    const failure = (message: string) => toGrpcFailure(new StorageError("not-found", message), "r-1").details;
    const long = failure(`start ${"\u{1f5c4}".repeat(10_000)} end`);
    expect(long.length).toBeLessThan(1000);
    expect(long).toMatch(/^start .* characters .* end$/);
    for (const message of [long, failure("volume \ud800 does not exist")])
      expect(() => encodeURI(message)).not.toThrow();
  });

  it("a StorageError's cause stays out of the details", () => {
    const error = new StorageError("internal", "could not mount", { cause: new Error("hunter2") });
    expect(toGrpcFailure(error, "r-1").details).toBe("could not mount");
  });

  it.each([
    ["an Error", new Error("password=hunter2")],
    ["an ExecError", new ExecError("mount", 32, "bad option secret=hunter2", "exit")],
    ["an object that looks like a StorageError", { name: "StorageError", code: "not-found", message: "hunter2" }],
    ["a string", "hunter2"],
    ["undefined", undefined],
  ])("%s: INTERNAL with the request id and none of its text", (_kind, thrown) => {
    const failure = toGrpcFailure(thrown, "r-42");
    expect(failure.code).toBe(status.INTERNAL);
    expect(failure.details).toContain("r-42");
    expect(failure.details).not.toContain("hunter2");
  });
});
