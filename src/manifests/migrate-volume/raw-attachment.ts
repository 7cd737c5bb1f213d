import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Session } from "../session.js";

export interface RawVolume {
  volume_id: string;
  volume_context: Record<string, string>;
}

const capability = { block: {}, access_mode: { mode: "SINGLE_NODE_WRITER" } } as const;

const placesOf = (session: Session, id: string) => {
  const folder = join(session.options.dataDir, "migrations", "volumes", id);
  return { folder, staging: join(folder, "staging"), target: join(folder, "device") };
};

/** Attaches a volume to this host as a raw device, as kubelet does one of volumeMode Block. Answers the device's path. */
export async function attachRaw(session: Session, volume: RawVolume): Promise<string> {
  const { volume_id, volume_context } = volume;
  const { staging, target } = placesOf(session, volume_id);
  const { publish_context } = await session.call("Controller", "ControllerPublishVolume", {
    ...{ volume_id, volume_context, volume_capability: capability, readonly: false },
    node_id: session.node.id,
  });
  const common = {
    volume_id,
    volume_context,
    publish_context,
    volume_capability: capability,
    staging_target_path: staging,
  };
  await session.call("Node", "NodeStageVolume", common);
  await session.call("Node", "NodePublishVolume", { ...common, target_path: target, readonly: false });
  return target;
}

/** Takes it off this host again; one that is not attached is fine. */
export async function detachRaw(session: Session, volume_id: string): Promise<void> {
  const { folder, staging, target } = placesOf(session, volume_id);
  await session.call("Node", "NodeUnpublishVolume", { volume_id, target_path: target });
  await session.call("Node", "NodeUnstageVolume", { volume_id, staging_target_path: staging });
  await session.call("Controller", "ControllerUnpublishVolume", { volume_id, node_id: session.node.id });
  await rm(folder, { recursive: true, force: true });
}
