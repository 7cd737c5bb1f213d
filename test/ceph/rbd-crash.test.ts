import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RbdVolumeEngine } from "../../src/engines/ceph/rbd/index.js";
import type { Volume } from "../../src/model/volume.js";
import { RBD_STEPS, type Step } from "../../src/runtime/steps.js";
import { context, failure, MIB, makeRbdWorld, publication, type RbdTestWorld, spec } from "./rbd-world.js";

const CHILD = fileURLToPath(new URL("rbd-call-until-killed.mjs", import.meta.url));

let world: RbdTestWorld;
let engine: RbdVolumeEngine;

beforeAll(async () => {
  world = makeRbdWorld();
  engine = await world.open();
});
afterAll(() => world.remove());

/** What a scenario has set up. */
interface Stage {
  name: string;
  volumes: Volume[];
  snapshotId: string;
  groupId: string;
}

type Call = [method: keyof RbdVolumeEngine & string, ...args: unknown[]];

interface Scenario {
  call: string;
  steps: readonly Step[];
  prepare(stage: Stage): Promise<void>;
  /** What the controller is killed in. */
  cut(stage: Stage): Call;
  /** What its caller asks another controller for, and what must be so then. */
  again(stage: Stage): Promise<void>;
}

const first = ({ volumes }: Stage) => volumes[0] as Volume;
const image = (volume: Volume) => `${world.place.spec}/${volume.context?.image}`;
const make = async (stage: Stage, count = 1) => {
  const names = Array.from({ length: count }, (_unused, i) => `${stage.name}-${i}`);
  stage.volumes = await Promise.all(names.map((name) => engine.create(context(), spec(name))));
};
const copySpec = (stage: Stage) =>
  spec(`${stage.name}-copy`, { source: { type: "volume", volumeId: first(stage).id } });
const found = async (id: string) => (await engine.get(context(), id)) as Volume;

async function makeAgain(stage: Stage, wanted: ReturnType<typeof spec>): Promise<void> {
  const there = (await engine.findByName(context(), wanted.name)) ?? (await engine.create(context(), wanted));
  stage.volumes.push(there);
  expect(await engine.get(context(), there.id)).toEqual(there);
  const names = (await engine.list(context(), "", 0)).map(({ name }) => name).sort();
  expect(names).toEqual(stage.volumes.map(({ name }) => name).sort());
}

async function makeSnapshot(stage: Stage): Promise<void> {
  await make(stage);
  stage.snapshotId = (await engine.createSnapshot(context(), stage.name, first(stage).id)).id;
}

const SCENARIOS: readonly Scenario[] = [
  {
    call: "create",
    steps: ["rbd-lock/taken", "rbd-create/image-made", "rbd-create/prepared", "rbd-create/recorded"],
    prepare: async () => {},
    cut: ({ name }) => ["create", spec(name)],
    again: (stage) => makeAgain(stage, spec(stage.name)),
  },
  {
    call: "create from a volume",
    steps: ["rbd-create/source-cut", "rbd-create/image-made", "rbd-create/source-released", "rbd-create/recorded"],
    prepare: make,
    cut: (stage) => ["create", copySpec(stage)],
    again: async (stage) => {
      await makeAgain(stage, copySpec(stage));
      await engine.sweep(context());
      expect(world.place.rbd("snap", "ls", "--format", "json", image(first(stage))).trim()).toBe("[]");
    },
  },
  {
    call: "delete",
    steps: ["rbd-delete/hidden", "rbd-delete/trashed"],
    prepare: make,
    cut: (stage) => ["delete", first(stage).id],
    again: async (stage) => {
      await engine.delete(context(), first(stage).id);
      expect(await engine.get(context(), first(stage).id)).toBeUndefined();
    },
  },
  {
    call: "delete, then a create of the name",
    steps: ["rbd-delete/hidden", "rbd-delete/renamed"],
    prepare: makeSnapshot,
    cut: (stage) => ["delete", first(stage).id],
    again: async (stage) => {
      const [old] = stage.volumes.splice(0);
      await makeAgain(stage, spec(old?.name ?? ""));
      expect(await engine.get(context(), old?.id ?? "")).toBeUndefined();
      expect((await engine.getSnapshot(context(), stage.snapshotId))?.readyToUse).toBe(true);
    },
  },
  {
    call: "expand",
    steps: ["rbd-expand/resized", "rbd-expand/recorded"],
    prepare: make,
    cut: (stage) => ["expand", first(stage).id, 64n * MIB],
    again: async (stage) => {
      // Smaller than what the dead one was asked for: nothing is cut off.
      await engine.expand(context(), first(stage).id, 32n * MIB);
      expect((await found(first(stage).id)).capacityBytes).toBe(64n * MIB);
    },
  },
  {
    call: "modify",
    steps: ["rbd-modify/applied", "rbd-modify/recorded"],
    prepare: make,
    cut: (stage) => ["modify", first(stage).id, { iops: "100" }],
    again: async (stage) => {
      await engine.modify(context(), first(stage).id, { iops: "100" });
      expect((await found(first(stage).id)).mutableParameters).toEqual({ iops: "100" });
    },
  },
  {
    call: "publish",
    steps: ["rbd-publish/recorded"],
    prepare: make,
    cut: (stage) => ["publish", first(stage).id, publication("a")],
    again: async (stage) => {
      await engine.publish(context(), first(stage).id, publication("a"));
      expect((await found(first(stage).id)).publications).toHaveLength(1);
      await engine.unpublish(context(), first(stage).id, "a");
    },
  },
  {
    call: "unpublish",
    steps: ["rbd-unpublish/fenced", "rbd-unpublish/recorded"],
    prepare: async (stage) => {
      await make(stage);
      await engine.publish(context(), first(stage).id, publication("a"));
    },
    cut: (stage) => ["unpublish", first(stage).id, "a"],
    again: async (stage) => {
      await engine.unpublish(context(), first(stage).id, "a");
      expect((await found(first(stage).id)).publications).toEqual([]);
    },
  },
  {
    call: "createSnapshot",
    steps: ["rbd-snapshot/claimed", "rbd-snapshot/cut", "rbd-snapshot/recorded"],
    prepare: make,
    cut: (stage) => ["createSnapshot", stage.name, first(stage).id],
    again: async (stage) => {
      const there = await engine.findSnapshotByName(context(), stage.name);
      const { id } = there ?? (await engine.createSnapshot(context(), stage.name, first(stage).id));
      stage.snapshotId = id;
      expect((await engine.listSnapshots(context())).map((one) => one.id)).toEqual([id]);
      const cuts = JSON.parse(world.place.rbd("snap", "ls", "--format", "json", image(first(stage)))) as object[];
      expect(cuts).toHaveLength(1);
    },
  },
  {
    call: "deleteSnapshot, of a deleted volume",
    steps: [
      ...(["rbd-delete-snapshot/hidden", "rbd-delete-snapshot/removed"] as const),
      ...(["rbd-delete/trashed", "rbd-delete-snapshot/unclaimed"] as const),
    ],
    prepare: async (stage) => {
      await makeSnapshot(stage);
      await engine.delete(context(), stage.volumes.pop()?.id ?? "");
    },
    cut: (stage) => ["deleteSnapshot", stage.snapshotId],
    again: async (stage) => {
      const there = await engine.getSnapshot(context(), stage.snapshotId);
      if (there) await engine.deleteSnapshot(context(), there.id);
      expect(await engine.listSnapshots(context())).toEqual([]);
    },
  },
  {
    call: "createGroup",
    steps: [
      ...(["rbd-group/claimed", "rbd-group/members-claimed", "rbd-group/cut"] as const),
      ...(["rbd-group/members-recorded", "rbd-group/recorded"] as const),
    ],
    prepare: (stage) => make(stage, 2),
    cut: (stage) => ["createGroup", stage.name, stage.volumes.map(({ id }) => id)],
    again: async (stage) => {
      const there = await engine.findGroupByName(context(), stage.name);
      const ids = stage.volumes.map(({ id }) => id);
      const group = there ?? (await engine.createGroup(context(), stage.name, ids));
      stage.groupId = group.id;
      await engine.sweep(context());
      const listed = (await engine.listSnapshots(context())).map(({ id }) => id);
      expect(listed.sort()).toEqual([...group.snapshotIds].sort());
    },
  },
  {
    call: "deleteGroup",
    steps: ["rbd-delete-group/hidden", "rbd-delete-group/members-removed", "rbd-delete-group/unclaimed"],
    prepare: async (stage) => {
      await make(stage, 2);
      const ids = stage.volumes.map(({ id }) => id);
      stage.groupId = (await engine.createGroup(context(), stage.name, ids)).id;
    },
    cut: (stage) => ["deleteGroup", stage.groupId],
    again: async (stage) => {
      if (await engine.getGroup(context(), stage.groupId)) await engine.deleteGroup(context(), stage.groupId);
      expect(await engine.listSnapshots(context())).toEqual([]);
    },
  },
];

const CASES = SCENARIOS.flatMap((scenario) => scenario.steps.map((step) => ({ call: scenario.call, step, scenario })));

async function killAt(scenario: Scenario, step: Step): Promise<Stage> {
  const name = `${scenario.call}-${step}`.replaceAll(/[^a-z]+/gi, "-");
  const stage: Stage = { name, volumes: [], snapshotId: "", groupId: "" };
  await scenario.prepare(stage);
  // The child is waited for without a turn for what this process has still to give back.
  await engine.idle();
  const [method, ...args] = scenario.cut(stage);
  const json = JSON.stringify(args, (_key, value: unknown) => (typeof value === "bigint" ? `${value}n` : value));
  const child = spawnSync(process.execPath, [CHILD, world.configPath, world.dir, step, method, json], {
    encoding: "utf8",
  });
  expect([child.signal, child.stderr]).toEqual(["SIGKILL", ""]);
  endLocks();
  return stage;
}

/** A dead controller's locks end by themselves: this is that minute. */
function endLocks(): void {
  const at = ["--pool", world.place.env.rbd.pool, "--namespace", world.place.name];
  const objects = world.place
    .rados(...at, "ls")
    .split("\n")
    .filter((object) => object.startsWith("granary.lock."));
  if (objects.length > 0) world.place.rados(...at, "rm", ...objects);
}

async function clear({ volumes, snapshotId, groupId }: Stage): Promise<void> {
  await engine.deleteGroup(context(), groupId);
  await engine.deleteSnapshot(context(), snapshotId);
  for (const { id } of volumes) await engine.delete(context(), id);
}

/** Nothing but what the manager still empties the trash of. */
async function expectEmpty(): Promise<void> {
  await engine.sweep(context());
  expect(JSON.parse(world.place.rbd("ls", "--format", "json", world.place.spec))).toEqual([]);
}

describe.each(CASES)("$call, killed at $step", ({ scenario, step }) => {
  it("another controller finishes or undoes it, and nothing is lost, doubled or left", async () => {
    const stage = await killAt(scenario, step);
    await scenario.again(stage);
    await clear(stage);
    await expectEmpty();
  });
});

const UNASKED: readonly [string, Step][] = [
  ["create", "rbd-create/image-made"],
  ["create from a volume", "rbd-create/source-cut"],
  ["createSnapshot", "rbd-snapshot/cut"],
  ["createGroup", "rbd-group/claimed"],
  ["createGroup", "rbd-group/members-recorded"],
  ["deleteGroup", "rbd-delete-group/hidden"],
];

describe.each(UNASKED)("%s, killed at %s, and nobody asks again", (call, step) => {
  it("the sweep takes away what was not finished", async () => {
    const scenario = SCENARIOS.find((one) => one.call === call) as Scenario;
    const { volumes } = await killAt(scenario, step);
    await engine.sweep(context());
    expect(await engine.listSnapshots(context())).toEqual([]);
    for (const { id } of volumes) await engine.delete(context(), id);
    await expectEmpty();
  });
});

describe("all steps", () => {
  it("every named step was killed at", () => {
    const killed = new Set<Step>(CASES.map(({ step }) => step));
    expect(RBD_STEPS.filter((step) => !killed.has(step))).toEqual([]);
  });

  it("a lock outlives its dead holder by its time alone", async () => {
    const dying = await world.open({ lockSeconds: 8 });
    const { id } = await engine.create(context(), spec("locked"));
    const at = ["--pool", world.place.env.rbd.pool, "--namespace", world.place.name];
    const object = `granary.lock.v-${id.split("-").at(-2)}`;
    world.place.rados("lock", "get", object, "granary", "--lock-cookie", "dead", "--lock-duration", "8", ...at);
    expect(await failure(engine.expand(context(), id, 32n * MIB))).toMatch(/^aborted: another controller/);
    let answer = "";
    for (let i = 0; i < 10 && answer !== "done"; i++) answer = await failure(dying.expand(context(), id, 32n * MIB));
    expect(answer).toBe("done");
    await engine.delete(context(), id);
  });
});
