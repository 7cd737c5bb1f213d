import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "minio";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { childrenOf } from "../s3/harness.js";
import { makeSandbox, removeSandbox, type Sandbox, startServer, type TestServer } from "./server-harness.js";

let sandbox: Sandbox;
let server: TestServer | undefined;

beforeEach(() => {
  sandbox = makeSandbox(0);
});
afterEach(async () => {
  await server?.stop();
  server = undefined;
  removeSandbox(sandbox);
});

const SECRET = "a-secret-of-this-test";

async function up(...flags: string[]): Promise<{ server: TestServer; s3: Client; metrics: string }> {
  const started = await startServer(sandbox, {
    flags: ["--s3-listen", "127.0.0.1:0", "--workers", "1", "--metrics-address", "127.0.0.1:0", ...flags],
    env: { GRANARY_S3_ENABLED: "true", GRANARY_ROOT_ACCESS_KEY: "ROOTKEY", GRANARY_ROOT_SECRET_KEY: SECRET },
  });
  server = started;
  const s3 = await told(started, /ready on http:\/\/127\.0\.0\.1:(\d+)/);
  const metrics = await told(started, /(http:\/\/127\.0\.0\.1:\d+\/metrics)/);
  const options = { endPoint: "127.0.0.1", port: Number(s3), useSSL: false };
  return { server: started, s3: new Client({ ...options, accessKey: "ROOTKEY", secretKey: SECRET }), metrics };
}

async function told(started: TestServer, pattern: RegExp): Promise<string> {
  for (let i = 0; i < 500; i++) {
    const found = pattern.exec(started.log())?.[1];
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`not in the log: ${pattern}\n${started.log()}`);
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("it did not come to that");
}

const isAlive = (pid: number) => {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
};

const ifThere = (look: () => boolean) => {
  try {
    return look();
  } catch {
    return false;
  }
};

function family(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...family(child)]);
}

describe("granary up with its object store", () => {
  it("serves volumes and S3; its metrics hold both, and no secret is in its log", async () => {
    const { server: started, s3, metrics } = await up();
    await s3.makeBucket("both");
    await s3.putObject("both", "key", "value");
    expect((await s3.statObject("both", "key")).size).toBe(5);
    expect((await started.client.call("Controller", "ListVolumes", {})) as object).toMatchObject({ entries: [] });
    const text = await (await fetch(metrics)).text();
    expect(text).toContain("granary_pool_volumes 0");
    expect(text).toMatch(/granary_s3_request_duration_seconds_count\{operation="PutObject",status="2xx"\} 1/);
    expect(started.log()).not.toContain(SECRET);
  });

  it("SIGKILL of the object store alone: it starts again, with its objects, and volumes go on", async () => {
    const { server: started, s3 } = await up();
    await s3.makeBucket("kept");
    await s3.putObject("kept", "key", "value");
    const [store] = childrenOf(started.pid);
    const workers = family(store ?? 0);
    process.kill(store ?? 0, "SIGKILL");
    await until(() => workers.every((pid) => !isAlive(pid)));
    expect(started.log()).toContain("the object store ended (SIGKILL)");
    expect((await started.client.call("Controller", "ListVolumes", {})) as object).toMatchObject({ entries: [] });
    // The port was a free one: the second start may have another.
    await until(() => (started.log().match(/ready on http:/g)?.length ?? 0) === 2);
    const port = Number([...started.log().matchAll(/ready on http:\/\/127\.0\.0\.1:(\d+)/g)].at(-1)?.[1]);
    const again = new Client({ endPoint: "127.0.0.1", port, useSSL: false, accessKey: "ROOTKEY", secretKey: SECRET });
    expect((await again.statObject("kept", "key")).size).toBe(5);
  });

  it("SIGKILL of up: nothing of it is left running", async () => {
    const { server: started } = await up();
    const all = family(started.pid);
    expect(all.length).toBeGreaterThanOrEqual(2);
    await started.kill();
    await until(() => all.every((pid) => !isAlive(pid)));
  });

  it.each(["SIGTERM", "SIGKILL"] as const)(
    "%s while its object store starts: nothing of it is left running",
    async (signal) => {
      const started = await startServer(sandbox, {
        flags: ["--s3-listen", "127.0.0.1:0", "--metrics-address", ""],
        env: { GRANARY_S3_ENABLED: "true" },
      });
      await until(() => childrenOf(started.pid).length === 1);
      const all = family(started.pid);
      process.kill(started.pid, signal);
      await until(() => [started.pid, ...all].every((pid) => !isAlive(pid)));
      // Workers that it started after the look at its family go with it.
      const mine = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(sandbox.dataDir);
      const left = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && ifThere(() => mine(Number(name))));
      expect(left).toEqual([]);
    },
  );

  it("--no-s3-enabled: no object store", async () => {
    server = await startServer(sandbox, {
      flags: ["--no-s3-enabled", "--metrics-address", ""],
      env: { GRANARY_S3_ENABLED: "true" },
    });
    expect(childrenOf(server.pid)).toEqual([]);
    expect(() => readFileSync(join(sandbox.dataDir, "objectstore.json"))).toThrow();
  });

  it("an address that somebody chose and that is taken: up says so and ends", async () => {
    const { server: first } = await up();
    const port = await told(first, /ready on http:\/\/127\.0\.0\.1:(\d+)/);
    const other = makeSandbox(0);
    try {
      const flags = ["--s3-listen", `127.0.0.1:${port}`, "--metrics-address", ""];
      const second = await startServer(other, { flags, env: { GRANARY_S3_ENABLED: "true" } });
      expect(await second.ended).toBe(1);
      expect(second.log()).toMatch(/EADDRINUSE/);
    } finally {
      removeSandbox(other);
    }
  });
});
