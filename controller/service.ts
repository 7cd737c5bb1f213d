import type { Context } from "../src/engines/types.js";
import { createVolume } from "./create-volume.js";
import { deleteVolume } from "./delete-volume.js";
import type { ControllerDeps } from "./deps.js";
import { expandVolume } from "./expand-volume.js";
import { getCapacity } from "./get-capacity.js";
import { getVolume } from "./get-volume.js";
import { createGroupSnapshot, deleteGroupSnapshot, getGroupSnapshot } from "./group-snapshots.js";
import { listVolumes } from "./list-volumes.js";
import { modifyVolume } from "./modify-volume.js";
import { publishVolume } from "./publish-volume.js";
import { getMetadataAllocated, getMetadataDelta } from "./snapshot-metadata.js";
import { createSnapshot, deleteSnapshot, getSnapshot, listSnapshots } from "./snapshots.js";
import { unpublishVolume } from "./unpublish-volume.js";
import { validateVolumeCapabilities } from "./validate-volume-capabilities.js";

const CONTROLLER_CAPABILITIES = [
  "CREATE_DELETE_VOLUME",
  "PUBLISH_UNPUBLISH_VOLUME",
  "LIST_VOLUMES",
  "GET_CAPACITY",
  "CREATE_DELETE_SNAPSHOT",
  "LIST_SNAPSHOTS",
  "CLONE_VOLUME",
  "PUBLISH_READONLY",
  "EXPAND_VOLUME",
  "LIST_VOLUMES_PUBLISHED_NODES",
  "VOLUME_CONDITION",
  "GET_VOLUME",
  "SINGLE_NODE_MULTI_WRITER",
  "MODIFY_VOLUME",
  "GET_SNAPSHOT",
] as const;

type Operation<Request, Response> = (deps: ControllerDeps, ctx: Context, request: Request) => Response;

/** Every unary RPC of Controller and GroupController, and the streams of SnapshotMetadata, by gRPC method name. */
export function controllerHandlers(deps: ControllerDeps) {
  const bind =
    <Request, Response>(operation: Operation<Request, Response>) =>
    (ctx: Context, request: Request) =>
      operation(deps, ctx, request);
  return {
    controller: {
      CreateVolume: bind(createVolume),
      DeleteVolume: bind(deleteVolume),
      ControllerPublishVolume: bind(publishVolume),
      ControllerUnpublishVolume: bind(unpublishVolume),
      ValidateVolumeCapabilities: bind(validateVolumeCapabilities),
      ListVolumes: bind(listVolumes),
      GetCapacity: bind(getCapacity),
      ControllerGetVolume: bind(getVolume),
      ControllerModifyVolume: bind(modifyVolume),
      ControllerExpandVolume: bind(expandVolume),
      CreateSnapshot: bind(createSnapshot),
      DeleteSnapshot: bind(deleteSnapshot),
      ListSnapshots: bind(listSnapshots),
      GetSnapshot: bind(getSnapshot),
      ControllerGetCapabilities: async () => ({
        capabilities: CONTROLLER_CAPABILITIES.map((type) => ({ rpc: { type } })),
      }),
    },
    group: {
      CreateVolumeGroupSnapshot: bind(createGroupSnapshot),
      DeleteVolumeGroupSnapshot: bind(deleteGroupSnapshot),
      GetVolumeGroupSnapshot: bind(getGroupSnapshot),
      GroupControllerGetCapabilities: async () => ({
        capabilities: [{ rpc: { type: "CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT" as const } }],
      }),
    },
    metadata: {
      GetMetadataAllocated: bind(getMetadataAllocated),
      GetMetadataDelta: bind(getMetadataDelta),
    },
  };
}
