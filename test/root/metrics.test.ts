import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { block, callsOf, MIB } from "./csi-requests.js";
import {
  failureOf,
  granary,
  makeSandbox,
  removeSandbox,
  type Sandbox,
  startServer,
  type TestServer,
} from "./server-harness.js";

let sandbox: Sandbox;
let server: TestServer | undefined;
let taken: Server | undefined;

beforeEach(() => {
  sandbox = makeSandbox(0);
});

afterEach(async () => {
  await server?.stop();
  server = undefined;
  await new Promise((resolve) => (taken ? taken.close(resolve) : resolve(undefined)));
  taken = undefined;
  removeSandbox(sandbox);
});

/** Starts with a free port and answers what its log says the address is. */
async function start(flags: readonly string[] = [], role: "up" | "node" = "up"): Promise<string> {
  server = await startServer(sandbox, { role, flags: ["--metrics-address", "127.0.0.1:0", ...flags] });
  return /metrics on (http:\/\/127\.0\.0\.1:\d+)\/metrics/.exec(server.log())?.[1] ?? "";
}

const get = async (url: string, init: RequestInit = {}) => {
  const response = await fetch(url, init);
  return { status: response.status, type: response.headers.get("content-type"), body: await response.text() };
};
const scrape = async (url: string) => {
  const { body } = await get(`${url}/metrics`);
  return (sample: string) => {
    const line = body.split("\n").find((candidate) => candidate.startsWith(`${sample} `));
    return line === undefined ? undefined : Number(line.slice(sample.length + 1));
  };
};
const takePort = async () => {
  taken = createServer();
  await new Promise<void>((resolve) => taken?.listen(0, "127.0.0.1", resolve));
  return `127.0.0.1:${(taken.address() as AddressInfo).port}`;
};

describe("/metrics", () => {
  it("is Prometheus's text, with the process's own metrics", async () => {
    const { status, type, body } = await get(`${await start()}/metrics`);
    expect({ status, type }).toEqual({ status: 200, type: "text/plain; version=0.0.4; charset=utf-8" });
    expect(body).toMatch(/^process_resident_memory_bytes \d+$/m);
    expect(body).toMatch(/^# TYPE granary_rpc_duration_seconds histogram$/m);
  });

  it("counts and times each RPC by method and code, streams too, and none is in flight after", async () => {
    const url = await start();
    const calls = callsOf((server as TestServer).client, sandbox);
    const { volume_id } = await calls.create("one", { volume_capabilities: [block()] });
    await calls.create("one", { volume_capabilities: [block()] });
    await failureOf(calls.get("g1-l-v-none"));
    const { snapshot_id } = await calls.snapshot("snap", volume_id);
    await (server as TestServer).client.stream("SnapshotMetadata", "GetMetadataAllocated", { snapshot_id });
    const stream = (server as TestServer).client.stream("SnapshotMetadata", "GetMetadataAllocated", {
      snapshot_id: "",
    });
    expect((await failureOf(stream)).code).toBe("INVALID_ARGUMENT");
    const sample = await scrape(url);
    const total = (method: string, code: string) => sample(`granary_rpc_total{method="${method}",code="${code}"}`);
    expect(total("CreateVolume", "OK")).toBe(2);
    expect(total("ControllerGetVolume", "NOT_FOUND")).toBe(1);
    expect(total("GetMetadataAllocated", "OK")).toBe(1);
    expect(total("GetMetadataAllocated", "INVALID_ARGUMENT")).toBe(1);
    expect(total("ControllerGetVolume", "OK")).toBeUndefined();
    expect(sample('granary_rpc_duration_seconds_count{method="CreateVolume",code="OK"}')).toBe(2);
    expect(sample('granary_rpc_duration_seconds_sum{method="CreateVolume",code="OK"}')).toBeGreaterThan(0);
    for (const method of ["CreateVolume", "ControllerGetVolume", "GetMetadataAllocated"])
      expect(sample(`granary_rpc_in_flight{method="${method}"}`)).toBe(0);
  });

  it("shows the pool as it is at each scrape", async () => {
    const url = await start();
    const calls = callsOf((server as TestServer).client, sandbox);
    const first = await scrape(url);
    expect(first("granary_pool_volumes")).toBe(0);
    expect(first("granary_pool_committed_bytes")).toBe(0);
    expect(first("granary_pool_readable")).toBe(1);
    const { volume_id } = await calls.create("thick", {
      parameters: { provisioning: "thick" },
      volume_capabilities: [block()],
    });
    await calls.snapshot("snap", volume_id);
    const now = await scrape(url);
    expect(now("granary_pool_volumes")).toBe(1);
    expect(now("granary_pool_snapshots")).toBe(1);
    expect(now("granary_pool_committed_bytes")).toBe(32 * MIB);
    expect(now("granary_pool_allocated_bytes")).toBeGreaterThanOrEqual(32 * MIB);
    expect(now("granary_pool_total_bytes")).toBeGreaterThan(now("granary_pool_free_bytes") ?? Infinity);
  });

  it("counts the programs that were started, by outcome", async () => {
    const url = await start();
    const calls = callsOf((server as TestServer).client, sandbox);
    const thick = { parameters: { provisioning: "thick" }, volume_capabilities: [block()] };
    await calls.create("thick", thick);
    const sample = await scrape(url);
    const count = (outcome: string) =>
      sample(`granary_child_process_duration_seconds_count{program="fallocate",outcome="${outcome}"}`);
    expect(count("ok")).toBe(1);
    expect(count("failed")).toBeUndefined();
  });

  it("a node alone has no pool gauges", async () => {
    const url = await start([], "node");
    const { body } = await get(`${url}/metrics`);
    expect(body).toContain("granary_rpc_total");
    expect(body).not.toContain("granary_pool");
  });
});

describe("/healthz and /readyz", () => {
  it("answer ok while all is well, HEAD without a body, and anything else is refused", async () => {
    const url = await start();
    expect(await get(`${url}/healthz`)).toMatchObject({ status: 200, body: "ok\n" });
    expect(await get(`${url}/readyz`)).toMatchObject({ status: 200, body: "ok\n" });
    expect(await get(`${url}/readyz`, { method: "HEAD" })).toMatchObject({ status: 200, body: "" });
    expect(await get(`${url}/readyz`, { method: "POST" })).toMatchObject({ status: 405 });
    expect(await get(`${url}/other`)).toMatchObject({ status: 404 });
  });

  it("an unhealthy pool: ready says 503 and why, as Probe does, and the process is alive", async () => {
    // No pool has more than half of its space free by this: the watermark is the highest that the config takes.
    removeSandbox(sandbox);
    sandbox = makeSandbox(1024 ** 3);
    const url = await start(["--low-space-ratio", "0.5"]);
    const calls = callsOf((server as TestServer).client, sandbox);
    expect(await get(`${url}/readyz`)).toMatchObject({ status: 200 });
    await calls.create("filler", {
      capacity_range: { required_bytes: String(700 * MIB) },
      parameters: { provisioning: "thick" },
      volume_capabilities: [block()],
    });
    const probe = await failureOf((server as TestServer).client.call("Identity", "Probe", {}));
    expect(probe.code).toBe("FAILED_PRECONDITION");
    expect(await get(`${url}/readyz`)).toMatchObject({ status: 503, body: `${probe.details}\n` });
    expect(await get(`${url}/healthz`)).toMatchObject({ status: 200, body: "ok\n" });
  });
});

describe("metricsAddress", () => {
  it("an address that was set and is in use stops the start with a clear error", async () => {
    const address = await takePort();
    const { code, stderr } = granary(["up", "--data-dir", sandbox.dataDir, "--metrics-address", address]);
    expect(code).toBe(1);
    expect(stderr).toContain(`metricsAddress ${address} is in use; choose another --metrics-address`);
  });

  it("an address that is not this host's stops the start too", () => {
    const { code, stderr } = granary(["up", "--data-dir", sandbox.dataDir, "--metrics-address", "192.0.2.1:9810"]);
    expect(code).toBe(1);
    expect(stderr).toContain("metricsAddress 192.0.2.1:9810 cannot be listened on (EADDRNOTAVAIL)");
  });

  it("the default address in use is a warning: two servers on one host both start", async () => {
    const other = makeSandbox(0);
    let second: TestServer | undefined;
    try {
      server = await startServer(sandbox);
      second = await startServer(other);
      // Of the two, or of a third server elsewhere on the host, one has the port; the second here has not.
      expect(second.log()).toContain("no metrics and probes over HTTP: metricsAddress 127.0.0.1:9810 is in use");
      expect(await second.client.call("Identity", "Probe", {})).toMatchObject({ ready: { value: true } });
    } finally {
      await second?.stop();
      removeSandbox(other);
    }
  });

  it("empty: nothing listens, and nothing is said", async () => {
    server = await startServer(sandbox, { flags: ["--metrics-address", ""] });
    expect(server.log()).not.toContain("metrics");
  });
});

describe("the server's log", () => {
  it("is JSON lines when stderr is no terminal, and holds no secret and no mount flag of a request", async () => {
    server = await startServer(sandbox, { flags: ["--metrics-address", "", "--log-level", "trace"] });
    const calls = callsOf(server.client, sandbox);
    const secrets = { password: "hunter2" };
    const mount_flags = ["password=hunter2"];
    const capability = {
      mount: { fs_type: "ext4", mount_flags },
      access_mode: { mode: "SINGLE_NODE_WRITER" as const },
    };
    const volume = await calls.create("secret", { secrets, volume_capabilities: [capability] });
    const { publish_context } = await calls.controllerPublish(volume.volume_id, capability);
    const staged = await failureOf(calls.stage(volume, publish_context ?? {}, capability));
    expect(staged.code).not.toBe("OK");
    expect(staged.details).not.toContain("hunter2");
    await calls.unstage(volume.volume_id);
    const lines = server.log().trim().split("\n");
    expect(lines.length).toBeGreaterThan(3);
    for (const line of lines) expect(JSON.parse(line)).toMatchObject({ role: "up" });
    expect(server.log()).not.toContain("hunter2");
  });
});
