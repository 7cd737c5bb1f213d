import { execFile, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { processesWith } from "../../src/os/processes.js";
import { CsiClient } from "../../src/runtime/csi-client.js";

const started = promisify(execFile);

/** The program that boots machines; test/ci/hosts.sh names it, and ends what a failed test has left. */
function vmTool(): string {
  const tool = process.env.GRANARY_TEST_NODE_VM;
  if (tool === undefined) throw new Error("GRANARY_TEST_NODE_VM is not set: run bash test/ci/hosts.sh");
  return tool;
}

const inProject = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const DATA = "/run/granary";
const DEADLINE_MS = 240_000;

/** A host with a kernel of its own, in software emulation, that runs `granary node`. Its root is this machine's, read-only. */
export interface HostVm {
  /** The machine's name and its CSI node id. */
  name: string;
  /** Of its node plugin. */
  client: CsiClient;
  /** Runs a shell script there as root. @throws Error with what it said when it fails */
  sh(script: string): string;
  /** Stops all of the machine at once, as a host that hangs; nothing of it is lost. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** What the node plugin wrote to its log. */
  log(): string;
  /** Power off. */
  down(): Promise<void>;
}

/** A free port, in all likelihood for as long as it takes to use it. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

/**
 * Boots a machine and starts its node plugin.
 *
 * @param config the path of the node's config; its content is copied there
 */
export async function bootHost(name: string, config: string): Promise<HostVm> {
  const tool = vmTool();
  const machine = `${process.env.GRANARY_TEST_HOST_PREFIX ?? "granary-"}${name}`;
  const port = await freePort();
  await started(tool, ["up", machine, `${port}:7000`]).catch((error: unknown) => {
    // It may be up and slow to answer: what is run there next tells.
    if (!(error instanceof Error) || !/did not answer/.test(error.message)) throw error;
  });
  const sh = (script: string, input = ""): string => {
    const command = ["run", machine, "--", "bash", "-c", `export ${PATH}; ${script}`];
    const endMs = Date.now() + DEADLINE_MS;
    for (;;) {
      const result = spawnSync(tool, command, {
        ...{ encoding: "utf8", input, timeout: DEADLINE_MS, maxBuffer: 64 * 1024 ** 2 },
      });
      if (result.status === 0) return result.stdout;
      // ssh's own status: a machine with too much to do does not answer in time.
      if (result.status !== 255 || Date.now() > endMs)
        throw new Error(`${machine}: ${script}: ${result.error ?? ""}${result.stdout}${result.stderr}`);
    }
  };
  const client = new CsiClient(`127.0.0.1:${port}`);
  const signal = async (how: "SIGSTOP" | "SIGCONT") => {
    const pids = await processesWith("qemu-system-x86_64", "-name", machine);
    if (pids.length !== 1) throw new Error(`${pids.length} processes are machine ${machine}`);
    for (const pid of pids) process.kill(pid, how);
  };
  const host: HostVm = {
    ...{ name: machine, client, sh: (script) => sh(script) },
    freeze: () => signal("SIGSTOP"),
    thaw: () => signal("SIGCONT"),
    log: () => sh(`cat ${DATA}/log`),
    async down() {
      client.close();
      await started(tool, ["down", machine]);
    },
  };
  // A checkout in this machine's /tmp is hidden there by a /tmp of its own.
  if (inProject("").startsWith("/tmp/")) sh("umount /tmp");
  sh(`modprobe loop; mkdir -p ${DATA}; cat >${DATA}/config.yaml`, readFileSync(config, "utf8"));
  startNode(host);
  await ready(host);
  return host;
}

/** Starts the node plugin, and what passes calls on to it. */
export function startNode(host: HostVm): void {
  const node = `${process.execPath} ${inProject("dist/src/main.js")} node --config ${DATA}/config.yaml --data-dir ${DATA}/data`;
  const flags = `--csi-endpoint unix://${DATA}/csi.sock --node-id ${host.name} --metrics-address ''`;
  const relay = `${process.execPath} ${inProject("test/hosts/relay.mjs")} 7000 ${DATA}/csi.sock`;
  const start = (command: string, log: string) => `setsid ${command} >>${DATA}/${log} 2>&1 </dev/null &`;
  host.sh(`mkdir -p ${DATA}/data/pool\n${start(`${node} ${flags}`, "log")}\n${start(relay, "relay-log")}`);
}

async function ready(host: HostVm): Promise<void> {
  const endMs = Date.now() + DEADLINE_MS;
  for (;;) {
    try {
      await host.client.call("Node", "NodeGetInfo", {}, 30_000);
      return;
    } catch (error) {
      if (Date.now() > endMs) throw new Error(`the node of ${host.name} is not ready: ${error}\n${host.log()}`);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
    }
  }
}
