import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { Step } from "../../src/runtime/steps.js";
import { block, bytes, type Calls, fromVolume, type Made, MIB, mount } from "./csi-requests.js";
import { failureOf } from "./server-harness.js";

/** What a scenario has set up for one step: names and ids of its own. */
export interface Stage {
  csi: Calls;
  name: string;
  volumes: Made[];
  contexts: Record<string, string>[];
  snapshotId: string;
  groupId: string;
}

/** One mutating RPC: each of its steps is crashed at, on a state made anew. */
export interface Scenario {
  rpc: string;
  steps: readonly Step[];
  prepare: (stage: Stage) => Promise<void>;
  /** The call that is cut off, and repeated after the restart. */
  act: (stage: Stage) => Promise<unknown>;
  /** What must be so once the repeated call has succeeded. */
  check: (stage: Stage) => Promise<void>;
}

const WORDS = "acknowledged before the crash";
const XFS = mount("SINGLE_NODE_WRITER", { fs_type: "xfs" });
const first = ({ volumes: [volume] }: Stage) => volume as Made;
const dataOf = (stage: Stage, volume: Made) => join(stage.csi.staging(volume.volume_id), "data");

/** `count` volumes that are staged and hold data. */
async function stagedVolumes(
  stage: Stage,
  count = 1,
  capability = stage.csi.capability,
  size = 32 * MIB,
): Promise<void> {
  for (let i = 0; i < count; i++) {
    const volume = await stage.csi.create(`${stage.name}-${i}`, {
      volume_capabilities: [capability],
      capacity_range: bytes(size),
    });
    const { publish_context } = await stage.csi.controllerPublish(volume.volume_id, capability);
    await stage.csi.stage(volume, publish_context ?? {}, capability);
    stage.volumes.push(volume);
    stage.contexts.push(publish_context ?? {});
    if (capability.mount) writeFileSync(dataOf(stage, volume), WORDS, { flush: true });
  }
}

/** Created, published to the node, and not staged yet. */
async function publishedVolume(stage: Stage, capability = stage.csi.capability): Promise<void> {
  const volume = await stage.csi.create(stage.name, { volume_capabilities: [capability] });
  const { publish_context } = await stage.csi.controllerPublish(volume.volume_id, capability);
  stage.volumes.push(volume);
  stage.contexts.push(publish_context ?? {});
}

/** The data is there, and more can be written: the file system was not left frozen. */
function expectAlive(stage: Stage): void {
  for (const volume of stage.volumes) {
    const path = dataOf(stage, volume);
    expect(readFileSync(path, "utf8")).toBe(WORDS);
    writeFileSync(`${path}-2`, "more", { flush: true });
  }
}

/** Takes away all that the scenario made, by the calls that an orchestrator makes: each must succeed. */
export async function clear(stage: Stage): Promise<void> {
  const { csi } = stage;
  if (stage.groupId !== "") await csi.removeGroup(stage.groupId);
  if (stage.snapshotId !== "") await csi.removeSnapshot(stage.snapshotId);
  for (const { volume_id } of stage.volumes) {
    await csi.unpublish(volume_id);
    await csi.detach(volume_id);
    await csi.remove(volume_id);
    expect((await failureOf(csi.get(volume_id))).code).toBe("NOT_FOUND");
  }
}

const CUT_STEPS = ["cut/frozen", "cut/copied", "cut/thawed"] as const;
const FORMAT_STEPS = ["format/intended", "format/made", "format/recorded"] as const;
const ephemeralId = (stage: Stage) => `csi-${Buffer.from(stage.name).toString("hex").padEnd(64, "0").slice(-64)}`;
const publishEphemeral = (stage: Stage) =>
  stage.csi.publish(
    {
      volume_id: ephemeralId(stage),
      volume_context: { "csi.storage.k8s.io/ephemeral": "true", size: "32Mi" },
    },
    { staging_target_path: "" },
  );

export const SCENARIOS: readonly Scenario[] = [
  {
    rpc: "CreateVolume",
    steps: [
      "image/folder-made",
      "image/sized",
      "create-volume/image-made",
      "create-volume/recorded",
      "create-volume/placed",
    ],
    prepare: async () => {},
    act: async (stage) => {
      stage.volumes = [await stage.csi.create(stage.name)];
    },
    check: async (stage) => {
      const { entries } = await stage.csi.list();
      expect(entries?.map((entry) => entry.volume?.volume_id)).toEqual([first(stage).volume_id]);
      await stage.csi.attach(first(stage));
    },
  },
  {
    rpc: "CreateVolume from a volume in use",
    steps: [
      "copy-volume/intended",
      "cut/frozen",
      "image/copied",
      "cut/copied",
      "cut/thawed",
      "create-volume/source-copied",
      "create-volume/image-made",
      "create-volume/recorded",
      "create-volume/placed",
    ],
    prepare: (stage) => stagedVolumes(stage),
    act: async (stage) => {
      const source = stage.volumes[0] as Made;
      const copy = await stage.csi.create(`${stage.name}-copy`, {
        volume_content_source: fromVolume(source.volume_id),
      });
      stage.volumes = [source, copy];
    },
    check: async (stage) => {
      const { entries } = await stage.csi.list();
      expect(entries?.map((entry) => entry.volume?.volume_id).sort()).toEqual(
        stage.volumes.map((volume) => volume.volume_id).sort(),
      );
      await stage.csi.attach(stage.volumes[1] as Made);
      expectAlive(stage);
    },
  },
  {
    rpc: "DeleteVolume",
    steps: [
      "delete-volume/intended",
      "delete-volume/moved",
      "delete-volume/forgotten",
      "delete-volume/removed",
      "delete-volume/ended",
    ],
    prepare: async (stage) => {
      stage.volumes.push(await stage.csi.create(stage.name));
    },
    act: (stage) => stage.csi.remove(first(stage).volume_id),
    check: async (stage) => {
      expect((await failureOf(stage.csi.get(first(stage).volume_id))).code).toBe("NOT_FOUND");
      expect((await stage.csi.list()).entries).toEqual([]);
    },
  },
  {
    rpc: "ControllerExpandVolume",
    steps: ["expand-volume/intended", "expand-volume/resized", "expand-volume/recorded"],
    prepare: (stage) => stagedVolumes(stage),
    act: (stage) => stage.csi.expand(first(stage).volume_id, 64 * MIB),
    check: async (stage) => {
      expect((await stage.csi.get(first(stage).volume_id)).volume?.capacity_bytes).toBe(String(64 * MIB));
      expectAlive(stage);
    },
  },
  {
    rpc: "ControllerModifyVolume",
    steps: ["modify-volume/recorded"],
    prepare: (stage) => stagedVolumes(stage),
    act: (stage) => stage.csi.modify(first(stage).volume_id, { reclaimSpace: "12h" }),
    check: async (stage) => expectAlive(stage),
  },
  {
    rpc: "ControllerPublishVolume",
    steps: ["publish-volume/recorded"],
    prepare: async (stage) => {
      stage.volumes.push(await stage.csi.create(stage.name));
    },
    act: (stage) => stage.csi.controllerPublish(first(stage).volume_id),
    check: async (stage) => {
      expect((await stage.csi.get(first(stage).volume_id)).status?.published_node_ids).toHaveLength(1);
    },
  },
  {
    rpc: "ControllerUnpublishVolume",
    steps: ["unpublish-volume/recorded"],
    prepare: (stage) => publishedVolume(stage),
    act: (stage) => stage.csi.controllerUnpublish(first(stage).volume_id),
    check: async (stage) => {
      expect((await stage.csi.get(first(stage).volume_id)).status?.published_node_ids).toEqual([]);
    },
  },
  {
    rpc: "CreateSnapshot",
    steps: [
      "create-snapshots/intended",
      ...CUT_STEPS,
      "image/copied",
      "create-snapshots/member-copied",
      "create-snapshots/recorded",
    ],
    prepare: (stage) => stagedVolumes(stage),
    act: async (stage) => {
      stage.snapshotId = (await stage.csi.snapshot(stage.name, first(stage).volume_id)).snapshot_id ?? "";
    },
    check: async (stage) => {
      expect((await stage.csi.listSnapshots()).entries?.map((entry) => entry.snapshot?.snapshot_id)).toEqual([
        stage.snapshotId,
      ]);
      expectAlive(stage);
    },
  },
  {
    rpc: "CreateVolumeGroupSnapshot",
    steps: ["create-snapshots/intended", ...CUT_STEPS, "create-snapshots/member-copied", "create-snapshots/recorded"],
    prepare: (stage) => stagedVolumes(stage, 2),
    act: async (stage) => {
      const ids = stage.volumes.map((volume) => volume.volume_id);
      stage.groupId = (await stage.csi.group(stage.name, ids)).group_snapshot_id ?? "";
    },
    check: async (stage) => {
      const { entries } = await stage.csi.listSnapshots();
      expect(entries?.map((entry) => entry.snapshot?.group_snapshot_id)).toEqual([stage.groupId, stage.groupId]);
      expectAlive(stage);
    },
  },
  {
    rpc: "DeleteSnapshot",
    steps: [
      "delete-snapshots/intended",
      "delete-snapshots/moved",
      "delete-snapshots/forgotten",
      "delete-snapshots/removed",
      "delete-snapshots/ended",
    ],
    prepare: async (stage) => {
      await stagedVolumes(stage);
      stage.snapshotId = (await stage.csi.snapshot(stage.name, first(stage).volume_id)).snapshot_id ?? "";
    },
    act: (stage) => stage.csi.removeSnapshot(stage.snapshotId),
    check: async (stage) => {
      expect((await stage.csi.listSnapshots()).entries).toEqual([]);
      expectAlive(stage);
    },
  },
  {
    rpc: "DeleteVolumeGroupSnapshot",
    steps: [
      "delete-snapshots/intended",
      "delete-snapshots/moved",
      "delete-snapshots/forgotten",
      "delete-snapshots/removed",
    ],
    prepare: async (stage) => {
      await stagedVolumes(stage, 2);
      const ids = stage.volumes.map((volume) => volume.volume_id);
      stage.groupId = (await stage.csi.group(stage.name, ids)).group_snapshot_id ?? "";
    },
    act: (stage) => stage.csi.removeGroup(stage.groupId),
    check: async (stage) => {
      expect((await stage.csi.listSnapshots()).entries).toEqual([]);
      expectAlive(stage);
    },
  },
  {
    rpc: "NodeStageVolume",
    steps: ["node-stage/begun", "node-stage/attached", ...FORMAT_STEPS, "node-stage/recorded", "node-stage/mounted"],
    prepare: (stage) => publishedVolume(stage),
    act: (stage) => stage.csi.stage(first(stage), stage.contexts[0] ?? {}),
    check: async (stage) => {
      writeFileSync(dataOf(stage, first(stage)), WORDS, { flush: true });
      expectAlive(stage);
    },
  },
  {
    rpc: "NodeStageVolume of a raw volume",
    steps: ["node-stage/begun", "node-stage/attached", "format/raw-recorded"],
    prepare: (stage) => publishedVolume(stage, block()),
    act: (stage) => stage.csi.stage(first(stage), stage.contexts[0] ?? {}, block()),
    check: async (stage) => void (await stage.csi.publish(first(stage), {}, "a", block())),
  },
  {
    rpc: "NodeUnstageVolume",
    steps: ["node-unstage/begun", "node-unstage/unmounted", "node-unstage/detached", "node-unstage/recorded"],
    prepare: (stage) => stagedVolumes(stage),
    act: (stage) => stage.csi.unstage(first(stage).volume_id),
    check: async (stage) => {
      expect((await failureOf(stage.csi.stats(first(stage).volume_id))).code).toBe("NOT_FOUND");
      await stage.csi.attach(first(stage));
      expectAlive(stage);
    },
  },
  {
    rpc: "NodePublishVolume",
    steps: ["node-publish/begun", "node-publish/recorded", "node-publish/bound"],
    prepare: (stage) => stagedVolumes(stage),
    act: (stage) => stage.csi.publish(first(stage), { readonly: true }),
    check: async (stage) => {
      const path = join(stage.csi.target(first(stage).volume_id), "data");
      expect(readFileSync(path, "utf8")).toBe(WORDS);
      expect(() => writeFileSync(path, "written")).toThrow("EROFS");
    },
  },
  {
    rpc: "NodePublishVolume of a raw volume",
    steps: ["node-publish/begun", "node-publish/recorded", "node-publish/bound"],
    prepare: (stage) => stagedVolumes(stage, 1, block()),
    act: (stage) => stage.csi.publish(first(stage), {}, "a", block()),
    check: async (stage) => {
      const { usage } = await stage.csi.stats(first(stage).volume_id, stage.csi.target(first(stage).volume_id));
      expect(usage?.[0]?.total).toBe(String(32 * MIB));
    },
  },
  {
    rpc: "NodeUnpublishVolume",
    steps: [
      "node-unpublish/begun",
      "node-unpublish/unmounted",
      "node-unpublish/target-removed",
      "node-unpublish/recorded",
    ],
    prepare: async (stage) => {
      await stagedVolumes(stage);
      await stage.csi.publish(first(stage));
    },
    act: (stage) => stage.csi.unpublish(first(stage).volume_id),
    check: async (stage) => {
      expect(() => readFileSync(stage.csi.target(first(stage).volume_id))).toThrow("ENOENT");
      expectAlive(stage);
    },
  },
  {
    rpc: "NodeExpandVolume",
    steps: ["node-expand/device-grown", "node-expand/filesystem-grown"],
    prepare: async (stage) => {
      await stagedVolumes(stage, 1, XFS, 320 * MIB);
      await stage.csi.expand(first(stage).volume_id, 512 * MIB);
    },
    act: (stage) => stage.csi.nodeExpand(first(stage).volume_id),
    check: async (stage) => {
      const { usage } = await stage.csi.stats(first(stage).volume_id);
      expect(Number(usage?.[0]?.total)).toBeGreaterThan(400 * MIB);
      expectAlive(stage);
    },
  },
  {
    rpc: "NodePublishVolume of an ephemeral volume",
    steps: [
      "ephemeral-publish/image-made",
      "ephemeral-publish/attached",
      "ephemeral-publish/formatted",
      "ephemeral-publish/mounted",
    ],
    prepare: async () => {},
    act: publishEphemeral,
    check: async (stage) => {
      writeFileSync(join(stage.csi.target(ephemeralId(stage)), "data"), WORDS, { flush: true });
      await stage.csi.unpublish(ephemeralId(stage));
    },
  },
  {
    rpc: "NodeUnpublishVolume of an ephemeral volume",
    steps: ["ephemeral-unpublish/unmounted", "ephemeral-unpublish/detached", "ephemeral-unpublish/removed"],
    prepare: async (stage) => void (await publishEphemeral(stage)),
    act: (stage) => stage.csi.unpublish(ephemeralId(stage)),
    check: async (stage) => {
      expect((await failureOf(stage.csi.stats(ephemeralId(stage)))).code).toBe("NOT_FOUND");
    },
  },
];
