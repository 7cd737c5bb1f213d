import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { type ClusterEnv, clusterEnv } from "../../ceph/cluster-env.js";
import { Connection } from "../objects/connection.js";
import { type Contender, GRANARY } from "../objects/contenders.js";
import { load } from "../objects/measured-load.js";
import { newCredentials, ObjectServer } from "../objects/object-server.js";
import { type Credentials, requestHeads } from "../objects/sigv4.js";
import type { Report, Row } from "../report.js";
import { compare, median, rotated } from "../statistics.js";
import type { Run } from "../world.js";

const MIB = 1024 ** 2;
const SIZES = [
  { title: "4 KiB", sizeBytes: 4096, clients: 16, atLeast: 0.6, keys: { quick: 200, full: 4000 } },
  { title: "64 MiB", sizeBytes: 64 * MIB, clients: 4, atLeast: 0.8, keys: { quick: 4, full: 16 } },
] as const;
const WAYS = ["gateway", "rgw"] as const;
type Way = (typeof WAYS)[number];

interface Endpoint {
  host: string;
  port: number;
  credentials: Credentials;
  bucket: string;
}

/** The gateway with RGW behind it, and RGW by itself: what the gateway adds and costs, in one run on one cluster. */
export async function benchCephObjects(run: Run): Promise<Report> {
  const env = clusterEnv();
  const dir = mkdtempSync(join(tmpdir(), "granary-bench-"));
  const server = new ObjectServer(gatewayOn(env, dir), {
    ...{ dir, tools: dir, credentials: newCredentials(), signal: run.signal, wrapper: [] },
  });
  const bucket = `granary-bench-${process.pid}`;
  const { hostname, port } = new URL(env.rgw.endpoint);
  const rgw = { host: hostname, port: Number(port), bucket, credentials: env.rgw };
  try {
    await server.start();
    const gateway = { host: server.host, port: server.port, bucket, credentials: server.credentials };
    for (const endpoint of [gateway, rgw]) await bucketRequest(endpoint, "PUT", 200);
    const rounds = run.quick ? 1 : 5;
    const rows: Row[] = [];
    const measurements: Record<string, readonly number[]> = {};
    for (const size of SIZES) {
      const measured = await rounded(run, { gateway, rgw }, size, rounds);
      for (const [operation, speeds] of Object.entries(measured)) {
        const { ratio, pairwise } = compare(speeds.gateway, speeds.rgw);
        const unit = size.sizeBytes >= MIB ? "MiB/s" : "operations/s";
        for (const way of WAYS) measurements[`${size.title} ${operation}: ${way}, ${unit}`] = speeds[way];
        rows.push({
          name: `${size.title} ${operation}, ${unit}, ${size.clients} clients`,
          cells: [median(speeds.gateway), median(speeds.rgw), pairwise.toFixed(3)],
          target: { value: ratio, atLeast: size.atLeast },
        });
      }
    }
    for (const endpoint of [gateway, rgw]) await bucketRequest(endpoint, "DELETE", 204);
    const title = `The gateway on RGW, and RGW itself (${rounds} rounds, one beside the other)`;
    const columns = ["gateway", "RGW", "ratio a round"];
    return { benchmark: "objects", measurements, sections: [{ title, columns, rows, notes: NOTES }] };
  } finally {
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

const NOTES = [
  "Gateway, RGW, the cluster's daemons and the load generator share this machine: what one takes, the others miss.",
];

/** Granary's gateway on the cluster's RGW, with a prefix of its own. */
function gatewayOn({ rgw }: ClusterEnv, dir: string): Contender {
  const config = join(dir, "config.yaml");
  const { endpoint, accessKey, secretKey, region } = rgw;
  const s3Upstream = { endpoint, accessKey, secretKey, region, prefix: `bench${process.pid}-` };
  writeFileSync(config, stringify({ s3Upstream }), { mode: 0o600 });
  return {
    ...GRANARY,
    command(place) {
      const { args, ...rest } = GRANARY.command(place);
      return { ...rest, args: [...args, "--engine", "s3", "--config", config] };
    },
  };
}

async function bucketRequest({ host, port, credentials, bucket }: Endpoint, method: string, wanted: number) {
  const connection = new Connection(host, port, 64 * 1024);
  try {
    const head = requestHeads({ host: `${host}:${port}`, credentials })(method, `/${bucket}`);
    await connection.request(method, head, undefined);
    if (connection.status !== wanted)
      throw new Error(`${method} of a bucket on port ${port}: status ${connection.status}`);
  } finally {
    connection.close();
  }
}

type Speeds = Record<Way, number[]>;

async function rounded(run: Run, ends: Record<Way, Endpoint>, size: (typeof SIZES)[number], rounds: number) {
  const { sizeBytes, clients, title } = size;
  const keys = run.quick ? size.keys.quick : size.keys.full;
  const speeds: Record<"PUT" | "GET", Speeds> = { PUT: { gateway: [], rgw: [] }, GET: { gateway: [], rgw: [] } };
  const job = { layout: "spread" as const, sizeBytes, clients, keys, firstKey: 0, compareOneOf: 20 };
  // The first round is not counted: connections, caches and credentials are new.
  for (let round = -1; round < rounds; round++) {
    for (const way of rotated(WAYS, round + 1)) {
      for (const operation of ["PUT", "GET", "DELETE"] as const) {
        run.progress(`objects: ${title} ${operation}, ${way}, round ${Math.max(round, 0) + 1} of ${rounds}`);
        const maxSeconds = operation === "GET" ? (run.quick ? 2 : 8) : 300;
        const result = await load(run.signal, { ...job, ...ends[way], operation, maxSeconds });
        if (result.failures > 0) throw new Error(`${title} ${operation}, ${way}: ${result.failureTexts.join("; ")}`);
        const speed = (sizeBytes >= MIB ? result.bytes / MIB : result.operations) / result.seconds;
        if (operation !== "DELETE" && round >= 0) speeds[operation][way].push(speed);
      }
    }
  }
  return speeds;
}
