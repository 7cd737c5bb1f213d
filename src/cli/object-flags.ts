import type { Command } from "commander";
import { type Config, loadConfig } from "../config/config.js";
import { invalid, StorageError } from "../errors/storage-error.js";
import type { ObjectMeta } from "../manifests/objects.js";
import type { CsiConnection } from "../manifests/session.js";
import { CsiClient } from "../runtime/csi-client.js";
import { findServers } from "../runtime/server-file.js";

/** The flags that every command about objects has. */
export interface ObjectFlags {
  namespace: string;
  selector?: string;
  dataDir?: string;
  config?: string;
  csiEndpoint?: string;
}

export interface WaitFlags {
  wait: boolean;
  timeout: string;
}

export function addObjectFlags(command: Command): Command {
  return command
    .option("-n, --namespace <name>", "the namespace", "default")
    .option("-l, --selector <labels>", "only objects with these labels: app=db,tier!=test")
    .option("--config <file>", "YAML config file")
    .option("--data-dir <dir>", "the server's data dir (default /var/lib/granary)");
}

export function addServerFlags(command: Command): Command {
  return command
    .option("--csi-endpoint <endpoint>", "unix:///path.sock of the running server (default: found by the data dir)")
    .option("--no-wait", "try each step once and do not wait for what takes longer")
    .option("--timeout <duration>", "how long to wait, for example 30s or 5m", "2m");
}

export function clientConfig({ dataDir, config, csiEndpoint }: ObjectFlags): Config {
  return loadConfig({ dataDir, config, csiEndpoint });
}

/**
 * The services that objects are acted on with: those at --csi-endpoint, or those that run on the data dir, be it in one
 * process (`granary up`) or in two (`granary controller` and `granary node`).
 *
 * @throws StorageError unavailable, saying what to start, when one of the two does not run
 */
export async function connect(config: Config, flags: ObjectFlags): Promise<CsiConnection> {
  if (flags.csiEndpoint !== undefined) return new CsiClient(config.csiEndpoint);
  const { controller, node } = await findServers(config.dataDir);
  if (controller !== undefined && node !== undefined) return connection(controller, node);
  const only = controller !== undefined ? "controller" : "node";
  const other = controller !== undefined ? "node" : "controller";
  throw new StorageError(
    "unavailable",
    controller === node
      ? `no granary server runs on ${config.dataDir}; start one with: granary up --data-dir ${config.dataDir}`
      : `only granary ${only} runs on ${config.dataDir}, and this needs both services; start the other with: granary ${other} --data-dir ${config.dataDir} --csi-endpoint unix://${config.dataDir}/${other}.sock`,
  );
}

function connection(controller: string, node: string): CsiConnection {
  if (controller === node) return new CsiClient(node);
  const clients = { controller: new CsiClient(controller), node: new CsiClient(node) };
  return {
    call: (service, method, request, deadlineMs) =>
      clients[service === "Node" ? "node" : "controller"].call(service, method, request, deadlineMs),
    close() {
      clients.controller.close();
      clients.node.close();
    },
  };
}

/** Whether an object has the labels that a selector (`a=b,c!=d,e,!f`) asks for. */
export function parseSelector(text: string | undefined): (metadata: ObjectMeta) => boolean {
  const terms = (text ?? "").split(",").filter((term) => term.trim() !== "");
  const tests = terms.map((term) => {
    const match = /^\s*(!)?\s*([\w./-]+)\s*(?:(=|==|!=)\s*([\w.-]*))?\s*$/.exec(term);
    const [, not, key = "", operator, value = ""] = match ?? [];
    if (!match || (not && operator))
      throw invalid(`--selector: ${JSON.stringify(term)} is not key=value, key!=value, key or !key`);
    return ({ labels }: ObjectMeta) => {
      if (operator === undefined) return Object.hasOwn(labels, key) !== (not !== undefined);
      const equal = Object.hasOwn(labels, key) && labels[key] === value;
      return operator === "!=" ? !equal : equal;
    };
  });
  return (metadata) => tests.every((test) => test(metadata));
}

/** Adds each use of a repeatable flag to a list. */
export const collect = (value: string, before: string[] = []): string[] => [...before, value];

/** Aborts with SIGINT or SIGTERM. */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const)
    process.once(name, () =>
      controller.abort(new StorageError("cancelled", `stopped by ${name}; run the command again to go on`)),
    );
  return controller.signal;
}
