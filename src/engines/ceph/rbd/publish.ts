import { notFound, StorageError } from "../../../errors/storage-error.js";
import { checkPublication } from "../../../model/publication.js";
import type { Publication, Volume } from "../../../model/volume.js";
import { step } from "../../../runtime/steps.js";
import type { Context } from "../../types.js";
import type { Tail } from "./cluster-lock.js";
import { fenceDeparting, lastingClients } from "./fencing.js";
import { parseRef } from "./names.js";
import { clientsIn, encodeRecord, type VolumeRecord, volumeKey } from "./records.js";
import { asVolume, type Found, findByRef, type RbdWorld, volumeLock } from "./world.js";

/** Runs `work` on a volume that nobody else changes meanwhile. @throws StorageError not-found */
export async function withVolume<T>(
  world: RbdWorld,
  ctx: Context,
  id: string,
  work: (ctx: Context, found: Found, tail: Tail) => Promise<T>,
): Promise<T> {
  const ref = parseRef(id, "v");
  if (!ref) throw notFound(`volume ${id} does not exist`);
  const home = await world.places.home(ctx);
  return world.lock.run(ctx, home, [volumeLock(ref.hash)], async (bounded, tail) => {
    const found = await findByRef(world, bounded, ref);
    if (found?.record.state !== "ready") throw notFound(`volume ${id} does not exist`);
    return work(bounded, found, tail);
  });
}

/** Replaces a volume's record, in one step. */
export async function putRecord(world: RbdWorld, ctx: Context, found: Found, record: VolumeRecord): Promise<void> {
  await world.images.setMetadata(ctx, found.place, found.image, volumeKey(found.ref.imageId), encodeRecord(record));
}

/**
 * Publishes: nobody else may have it, by the record and by what the cluster shows. A client that no publication explains is
 * fenced where a node once recorded it, and else refused: it may be a person's.
 */
export async function publishVolume(
  world: RbdWorld,
  ctx: Context,
  id: string,
  publication: Publication,
): Promise<Record<string, string>> {
  await world.places.requireNode(ctx, publication.nodeId);
  return withVolume(world, ctx, id, async (bounded, found) => {
    const { record } = found;
    checkPublication(asVolume(found), publication);
    if (!record.publications.some(({ nodeId }) => nodeId === publication.nodeId)) {
      if (record.publications.length === 0) await requireUnattached(world, bounded, found);
      await putRecord(world, bounded, found, { ...record, publications: [...record.publications, publication] });
      step("rbd-publish/recorded");
    }
    return publishContext(world, found, publication.readonly);
  });
}

async function requireUnattached(world: RbdWorld, ctx: Context, { place, image, metadata, ref }: Found): Promise<void> {
  const recorded = clientsIn(metadata);
  if (recorded.length > 0) await fenceDeparting(world, ctx, { place, image, recorded, nodeId: "", isLast: false });
  const fenced = new Set(recorded.map(({ address }) => address));
  const clients = (await lastingClients(world, ctx, place, image)).filter(({ address }) => !fenced.has(address));
  const [client] = clients;
  if (client)
    throw new StorageError(
      "failed-precondition",
      `volume ${ref.id} is attached by the client at ${client.address}, which no publication explains: detach it, or ceph osd blocklist add ${client.address}`,
    );
}

/** What a node finds the image by. No secret: the node has its own key, or gets one with its request. */
function publishContext(world: RbdWorld, found: Found, readonly: boolean): Record<string, string> {
  const { place, image, ref, record } = found;
  const qos = { ...record.parameters, ...record.mutableParameters };
  return {
    ...{ cluster: world.cluster.name, monitors: world.cluster.config.monitors.join(",") },
    ...{ pool: place.pool, namespace: place.namespace, image, imageId: ref.imageId },
    ...{ sizeBytes: String(record.capacityBytes), readonly: String(readonly) },
    ...(qos.iops && { iops: qos.iops }),
    ...(qos.bps && { bps: qos.bps }),
  };
}

/** Takes the volume from a node, or with "" from all: fenced first where it is still attached. Not published is fine. */
export async function unpublishVolume(
  world: RbdWorld,
  ctx: Context,
  id: string,
  nodeId: string,
): Promise<{ volume: Volume; fenced: string[] }> {
  return withVolume(world, ctx, id, async (bounded, found) => {
    const { record, place, image, metadata } = found;
    const rest = record.publications.filter((one) => nodeId !== "" && one.nodeId !== nodeId);
    const recorded = clientsIn(metadata);
    const isPublished = rest.length < record.publications.length;
    // A node that is not published may still be recorded: of a publish that was taken back while it was cut off.
    if (!isPublished && !recorded.some((one) => nodeId === "" || one.nodeId === nodeId))
      return { volume: asVolume(found), fenced: [] };
    const isLast = rest.length === 0;
    const fenced = await fenceDeparting(world, bounded, { place, image, recorded, nodeId, isLast });
    step("rbd-unpublish/fenced");
    const changed = { ...record, publications: rest };
    if (isPublished) await putRecord(world, bounded, found, changed);
    step("rbd-unpublish/recorded");
    return { volume: asVolume({ ...found, record: changed }), fenced };
  });
}
