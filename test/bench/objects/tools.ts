import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** A program that Go's toolchain installs. */
export interface Tool {
  program: string;
  /** What `go install` is given: the command that the project publishes. */
  source: string;
}

export const WARP: Tool = { program: "warp", source: "github.com/minio/warp@latest" };

export type Installed = { version: string } | { absent: string };

/** Kept from one run to the next: MinIO alone compiles for minutes. */
export const defaultToolsDir = (): string =>
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "granary-bench");

/** Installs a tool into `dir` unless it is there; a reason when it is not to be had, which is never an error. */
export async function ensureTool(
  tool: Tool,
  dir: string,
  signal: AbortSignal,
  progress: (text: string) => void,
): Promise<Installed> {
  const path = join(dir, tool.program);
  if (!existsSync(path)) {
    if (spawnSync("go", ["version"]).status !== 0) return { absent: "no Go toolchain to install it with" };
    const reason = await goInstall(tool, dir, signal, progress);
    if (reason !== undefined) return { absent: reason };
  }
  const text = spawnSync("go", ["version", "-m", path], { encoding: "utf8" }).stdout ?? "";
  return { version: /^\tmod\t\S+\t(\S+)/m.exec(text)?.[1] ?? "unknown version" };
}

const TELL_MS = 15_000;

async function goInstall(
  { program, source }: Tool,
  dir: string,
  signal: AbortSignal,
  progress: (text: string) => void,
): Promise<string | undefined> {
  mkdirSync(dir, { recursive: true });
  progress(`go install ${source}`);
  const startMs = performance.now();
  const child = spawn("go", ["install", source], {
    // In the tools' folder no go.mod changes what is installed.
    cwd: dir,
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, GOBIN: dir, GOWORK: "off" },
    signal,
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const ticking = setInterval(() => {
    const doing = stderr.trimEnd().split("\n").at(-1);
    progress(`go install ${program}: ${Math.round((performance.now() - startMs) / 1000)} s, ${doing || "compiling"}`);
  }, TELL_MS);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  }).finally(() => clearInterval(ticking));
  return code === 0 ? undefined : whyNot(source, stderr);
}

/** The one line of go's messages that says why, without what it downloaded before and where it asked. */
export function whyNot(source: string, stderr: string): string {
  const lines = stderr.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("go: downloading"));
  const reason = (lines.at(-1) ?? "no reason given")
    .trim()
    .replace(/https?:\/\/\S+/g, "(its address)")
    .replace(/\.$/, "");
  return `go install ${source} failed: ${reason}`;
}
