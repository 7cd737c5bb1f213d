import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CsiCallError, MethodName, ServiceName } from "../../src/runtime/csi-client.js";
import { type Answer, type BadInputWorld, badInputRows, type Request, type Row } from "./bad-input-rows.js";
import { type Mutation, mutate, mutationsOf } from "./csi-bad-values.js";
import { callsOf } from "./csi-requests.js";
import { mountsUnder } from "./server-harness.js";

/** What an engine brings to the suite. */
export interface BadInputEngine {
  name: string;
  /** RPCs that its volumes do not have. */
  without: readonly string[];
  open(): Promise<OpenedEngine>;
}

export type OpenedEngine = Pick<BadInputWorld, "sandbox" | "server" | "choice" | "used" | "idle" | "goneId"> & {
  /** Everything of the engine's that a request could have changed, beside what CSI shows. */
  stored(): unknown;
  close(): Promise<void>;
};

/** Codes that say "your request", never "our bug": INTERNAL and UNKNOWN are not among them. */
const HONEST = [
  "OK",
  "INVALID_ARGUMENT",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "RESOURCE_EXHAUSTED",
];

/** The codes that this bad value may get. */
function allowed(row: Row, { field, what, value }: Mutation): readonly string[] {
  const gone = value === "" || what === "absent" || (what === "empty" && typeof value === "object") || what === "zero";
  if (gone)
    return row.required.includes(field) || row.required.includes(field.replace(/\.mode$/, ""))
      ? ["INVALID_ARGUMENT"]
      : HONEST;
  const idCode = row.ids?.[field];
  if (idCode !== undefined) return [idCode];
  const optional = field.endsWith("_path") || /access_mode/.test(field);
  if (optional && !row.required.some((one) => field === one || field === `${one}.mode`)) return HONEST;
  if (field.endsWith("access_mode.mode")) return ["INVALID_ARGUMENT"];
  if (field === "name")
    return what === "a new line" ||
      what === "a path out of the pool" ||
      /of our shape|another kind|every object/.test(what)
      ? ["OK"]
      : ["INVALID_ARGUMENT"];
  if (field === "starting_token") return ["ABORTED"];
  if (field === "starting_offset") return ["OUT_OF_RANGE"];
  if (field === "volume_path") return ["NOT_FOUND"];
  if (/^-|smallest/.test(what)) return ["INVALID_ARGUMENT"];
  if (/target_path$/.test(field) && /relative|\.\.|NUL|long|70 KB/.test(what)) return ["INVALID_ARGUMENT"];
  return HONEST;
}

/** Makes what the requests are about. */
async function prepare(opened: OpenedEngine, without: readonly string[]): Promise<BadInputWorld> {
  const { server, sandbox, choice, used, idle } = opened;
  const csi = callsOf(server.client, sandbox, choice);
  const known = { volume: "", idle: "", base: "", target: "", group: "", member: "" };
  const volume = await csi.create("used", { volume_capabilities: [used] });
  known.volume = volume.volume_id;
  known.idle = (await csi.create("idle", { volume_capabilities: [idle] })).volume_id;
  known.base = (await csi.snapshot("base", known.idle)).snapshot_id ?? "";
  known.target = (await csi.snapshot("target", known.idle)).snapshot_id ?? "";
  if (!without.includes("CreateVolumeGroupSnapshot")) {
    const group = await csi.group("group", [known.idle]);
    known.group = group.group_snapshot_id ?? "";
    known.member = group.snapshots?.[0]?.snapshot_id ?? "";
  }
  const publishContext = (await csi.controllerPublish(known.volume, used)).publish_context ?? {};
  await csi.stage(volume, publishContext, used);
  await csi.publish(volume, {}, "a", used);
  return { ...opened, csi, known, context: volume.volume_context ?? {}, publishContext };
}

/** Everything that a request could have changed. */
async function everything({ server, sandbox }: BadInputWorld, stored: () => unknown) {
  const { entries: volumes } = await server.client.call("Controller", "ListVolumes", {});
  const { entries: snapshots } = await server.client.call("Controller", "ListSnapshots", {});
  const nodeDir = join(sandbox.dataDir, "node");
  const records = readdirSync(nodeDir).filter((name) => name.endsWith(".json"));
  return {
    volumes,
    snapshots,
    stored: stored(),
    node: records.map((name) => [name, JSON.parse(readFileSync(join(nodeDir, name), "utf8"))]),
    mounts: mountsUnder(sandbox.dir),
    outside: readdirSync(sandbox.dir),
  };
}

async function send({ server }: BadInputWorld, row: Row, request: Request) {
  const call = row.stream ? server.client.stream : server.client.call;
  try {
    const send = call.bind(server.client) as (s: string, m: MethodName<ServiceName>, r: object) => Promise<unknown>;
    const answer = (await send(row.service, row.method as MethodName<ServiceName>, request)) as Answer;
    return { code: "OK", details: "", answer };
  } catch (error) {
    const { code, details } = error as CsiCallError;
    return { code, details, answer: {} };
  }
}

async function sendGood(w: BadInputWorld, row: Row): Promise<void> {
  const { code, details, answer } = await send(w, row, row.good());
  expect([code, details]).toEqual(["OK", ""]);
  await row.undo?.(row.good(), answer);
}

/** rules 34, 35 and 36 of every RPC, over one engine. */
export function describeBadInput(engine: BadInputEngine): void {
  // Filled before the first request is made.
  const w = {} as BadInputWorld;
  let opened: OpenedEngine;
  beforeAll(async () => {
    opened = await engine.open();
    Object.assign(w, await prepare(opened, engine.without));
  });
  afterAll(() => opened?.close());

  const rows = badInputRows(w).filter(({ method }) => !engine.without.includes(method));
  describe.each(rows)(`${engine.name}: $method`, (row) => {
    it("rules 34, 35, 36: every field with every bad value: its code, a message, and nothing changed", async () => {
      const before = await everything(w, opened.stored);
      await sendGood(w, row);
      const mutations = mutationsOf(row.service, row.method, w.sandbox.dir);
      const wrong: string[] = [];
      for (const mutation of mutations) {
        const request = mutate(row.good(), mutation) as Request;
        const { code, details, answer } = await send(w, row, request);
        if (code === "OK") await row.undo?.(request, answer);
        const codes = allowed(row, mutation);
        const clear = code === "OK" || (details !== "" && details.length < 4096);
        if (!codes.includes(code) || !clear) {
          wrong.push(
            `${mutation.field}, ${mutation.what}: ${code} (${details.slice(0, 120)}), not ${codes.join(" or ")}`,
          );
        }
      }
      expect(wrong).toEqual([]);
      await sendGood(w, row);
      expect(await everything(w, opened.stored)).toEqual(before);
    });
  });
}
