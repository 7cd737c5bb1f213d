import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ExecError, exec } from "../../src/os/exec.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "granary-exec-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** True while the process runs; a zombie that nobody has reaped yet has ended. */
function runs(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

async function until(condition: () => boolean, limitMs: number): Promise<void> {
  const endMs = Date.now() + limitMs;
  while (!condition()) {
    if (Date.now() > endMs) throw new Error(`not true within ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function pidsIn(file: string): number[] {
  return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n").filter(Boolean).map(Number) : [];
}

describe("exec", () => {
  it("a hung tool with a child: at the deadline it is DEADLINE_EXCEEDED, both have ended, and the next call works", async () => {
    const file = path.join(folder, "pids");
    const script = 'sleep 300 & echo "$!" >"$1"; echo "$$" >>"$1"; wait';
    const startMs = Date.now();
    const hung = exec("sh", ["-c", script, "sh", file], { signal: AbortSignal.timeout(500) });
    await expect(hung).rejects.toMatchObject({ name: "StorageError", code: "deadline-exceeded" });
    expect(Date.now() - startMs).toBeLessThan(5_000);
    const pids = pidsIn(file);
    expect(pids).toHaveLength(2);
    await until(() => !pids.some(runs), 5_000);
    await expect(exec("echo", ["next"])).resolves.toMatchObject({ stdout: "next\n" });
  });

  it("a tool that ignores SIGTERM: ended all the same", async () => {
    const file = path.join(folder, "pids");
    const controller = new AbortController();
    const stubborn = exec("sh", ["-c", 'trap "" TERM; echo "$$" >"$1"; while :; do sleep 1; done', "sh", file], {
      signal: controller.signal,
    });
    const outcome = expect(stubborn).rejects.toMatchObject({ code: "cancelled" });
    await until(() => pidsIn(file).length === 1, 5_000);
    controller.abort();
    await outcome;
    const pids = pidsIn(file);
    await until(() => !pids.some(runs), 5_000);
  });

  it("already past its deadline: nothing is started", async () => {
    const file = path.join(folder, "touched");
    await expect(exec("touch", [file], { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "cancelled" });
    expect(existsSync(file)).toBe(false);
  });

  it("a missing tool: ExecError that says it is not installed", async () => {
    const failure = exec("mkfs.nothing-like-it", []);
    await expect(failure).rejects.toMatchObject({ name: "ExecError", reason: "missing", exitCode: null });
    await expect(failure).rejects.toThrow("mkfs.nothing-like-it is not installed");
  });

  it("a failing tool: the exit code and stderr, and no argument in the message, since arguments hold secrets", async () => {
    const error: unknown = await exec("sh", ["-c", "echo broken >&2; exit 3", "hunter2"]).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(ExecError);
    expect(error).toMatchObject({ exitCode: 3, reason: "exit", stderr: "broken\n" });
    expect(`${String(error)} ${JSON.stringify(error)}`).not.toContain("hunter2");
  });

  it("a deadline's error holds no argument either", async () => {
    const hung = exec("sleep", ["300.0451"], { signal: AbortSignal.timeout(50) });
    const error: unknown = await hung.catch((thrown) => thrown);
    expect(`${String(error)} ${JSON.stringify(error)}`).not.toContain("300.0451");
  });

  it("an exit code named as an answer: resolves with it", async () => {
    await expect(exec("sh", ["-c", "exit 2"], { okCodes: [0, 2] })).resolves.toMatchObject({ exitCode: 2 });
  });

  it("ended by a signal: reason signal, no exit code", async () => {
    const failure = exec("sh", ["-c", 'kill -9 "$$"']);
    await expect(failure).rejects.toMatchObject({ reason: "signal", exitCode: null });
  });

  it("no shell and a bare environment: arguments pass untouched, LC_ALL is C, nothing is inherited", async () => {
    await expect(exec("printf", ["%s", "$HOME; `id` 'x' *"])).resolves.toMatchObject({ stdout: "$HOME; `id` 'x' *" });
    process.env.GRANARY_TEST_SECRET = "hunter2";
    try {
      const { stdout } = await exec("env", []);
      expect(stdout).toContain("LC_ALL=C\n");
      expect(stdout).not.toContain("hunter2");
    } finally {
      delete process.env.GRANARY_TEST_SECRET;
    }
  });

  it("onLine: every whole line, in order", async () => {
    const lines: string[] = [];
    await exec("printf", ["a\\nbc\\n\\nd\\n"], { onLine: (line) => lines.push(line) });
    expect(lines).toEqual(["a", "bc", "", "d"]);
  });
});
