import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { S3Server } from "./harness.js";

const TIMEOUT_MS = 120_000;

export interface ClientResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a client. Its home is a folder of the test's, so that it reads no configuration of the user's. */
export function runClient(
  program: string,
  args: readonly string[],
  options: { env?: Record<string, string>; input?: string; cwd?: string } = {},
): Promise<ClientResult> {
  const { env = {}, input = "", cwd } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      ...(cwd === undefined ? {} : { cwd }),
      env: { PATH: process.env.PATH ?? "", HOME: homedir(), LC_ALL: "C.UTF-8", ...env },
      timeout: TIMEOUT_MS,
      killSignal: "SIGKILL",
    });
    let [stdout, stderr] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (part: string) => (stdout += part));
    child.stderr.setEncoding("utf8").on("data", (part: string) => (stderr += part));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}

/** The same, for a client that must succeed. @returns what it wrote to stdout */
export async function client(
  program: string,
  args: readonly string[],
  options: Parameters<typeof runClient>[2] = {},
): Promise<string> {
  const { code, stdout, stderr } = await runClient(program, args, options);
  if (code !== 0)
    throw new Error(`${program} ${args.join(" ")}: exit code ${code}\n${stderr.slice(-4000)}${stdout.slice(-2000)}`);
  return stdout;
}

/** A new folder among the server's own, which goes with it. */
export const scratch = (server: S3Server, name = "work"): string => mkdtempSync(join(server.dir, `${name}-`));

/** What boto, the aws command and everything else of Amazon's reads. */
export const awsEnvironment = (server: S3Server): Record<string, string> => ({
  AWS_ACCESS_KEY_ID: server.accessKey,
  AWS_SECRET_ACCESS_KEY: server.secretKey,
  AWS_DEFAULT_REGION: server.region,
  AWS_EC2_METADATA_DISABLED: "true",
  HOME: server.dir,
  ...(server.caFile === undefined ? {} : { AWS_CA_BUNDLE: server.caFile }),
});
