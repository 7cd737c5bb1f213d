import { mkdirSync, realpathSync } from "node:fs";
import { StorageError } from "../../../errors/storage-error.js";
import { readsDirectly } from "../../../os/direct-read.js";
import type { Exec } from "../../../os/exec.js";
import type { Device, DeviceAttacher, NodeRef } from "../../attacher.js";
import type { Context } from "../../types.js";
import type { CephCluster } from "../cluster.js";
import { type Attachment, attachments } from "./attachments.js";
import { proveDeviceBlank } from "./blank.js";
import { announceClient, newClient, releaseDeadClient, withdrawClient } from "./client.js";
import { allocatedOf, type ImageFacts, imageFacts, readFormat, watchersOf, writeFormat } from "./facts.js";
import { healAttachments, isMounted } from "./heal.js";
import { identityOf, imageOf, type RbdImage, specOf } from "./image.js";
import { krbd, krbdClient } from "./krbd.js";
import type { Mapped, Mapper, MapperKind, MapWish } from "./mapper.js";
import { mapperReports } from "./mappers.js";
import { rbdNbd } from "./rbd-nbd.js";
import { storageDaemon } from "./storage-daemon.js";

/*
 * Crash model. The attachment's record is written before anything is mapped, and removed after it is unmapped. A crash in
 * between leaves a device that the next attach finds by its identity, or heal() by the record; the mappers say what a
 * crash inside of them leaves. The format record is metadata of the image: durable in the cluster when it is written.
 */

export interface RbdAttacherOptions {
  exec: Exec;
  nodeId: string;
  /** This attacher's own folder: one folder in it for each attachment. */
  stateDir: string;
  /** The configured cluster of that name. */
  cluster(name: string): CephCluster | undefined;
  /** Instead of what the host is found to have. */
  mapper?: MapperKind;
}

const refuse = (message: string) => new StorageError("failed-precondition", message);

/** The node's half of the RBD engine. */
export function rbdAttacher(options: RbdAttacherOptions): DeviceAttacher {
  return new RbdAttacher(options);
}

class RbdAttacher implements DeviceAttacher {
  readonly type = "device";
  readonly #mappers: readonly Mapper[];
  readonly #attachments;
  readonly #fsids = new Map<string, string>();
  #usable: Promise<MapperKind[]> | undefined;

  constructor(private readonly options: RbdAttacherOptions) {
    mkdirSync(options.stateDir, { recursive: true, mode: 0o700 });
    // As the kernel writes it: the paths in it are compared with what mountinfo and sysfs show.
    this.#attachments = attachments(realpathSync(options.stateDir));
    const { exec } = options;
    this.#mappers = [krbd(exec), rbdNbd(exec, this.#attachments), storageDaemon(exec, this.#attachments)];
  }

  async prove(ctx: Context, ref: NodeRef): Promise<string> {
    const image = imageOf(ref);
    const cluster = this.#cluster(image);
    const [identity] = await Promise.all([this.#identity(ctx, cluster, image), imageFacts(ctx, cluster, image)]);
    return identity;
  }

  async attach(ctx: Context, ref: NodeRef, readonly: boolean): Promise<Device & { sizeBytes: bigint }> {
    const image = imageOf(ref);
    const cluster = this.#cluster(image);
    const identity = await this.#identity(ctx, cluster, image);
    const facts = await imageFacts(ctx, cluster, image);
    let mapped = await this.#find(identity, readonly);
    if (mapped && !(await this.#serves(ctx, mapped))) {
      await this.#unmap(ctx, mapped);
      mapped = undefined;
    }
    if (!mapped) {
      await this.#map(ctx, cluster, { image, identity, readonly, facts });
      mapped = await this.#find(identity, readonly);
    }
    if (!mapped) throw refuse(`no device of volume ${ref.volumeId} shows its image; is something else replacing it?`);
    if (!readonly) await this.#announce(ctx, cluster, image, mapped, []);
    const sizeBytes = await this.#fit(ctx, mapped, facts.sizeBytes);
    return { device: mapped.device, readonly, identity, sizeBytes };
  }

  async devices(ctx: Context, ref: NodeRef, identity: string | undefined): Promise<Device[]> {
    const wanted = new Set<string>();
    if (identity !== undefined) wanted.add(identity);
    else if (ref.publishContext.cluster === undefined) {
      // Not staged by what this node has on record, which is no error: what is attached all the same says whose it is.
      for (const one of await this.#attachments.list()) if (one.volumeId === ref.volumeId) wanted.add(one.identity);
    } else {
      const image = imageOf(ref);
      wanted.add(await this.#identity(ctx, this.#cluster(image), image));
    }
    return (await this.#list())
      .filter((mapped) => wanted.has(mapped.identity))
      .map(({ device, readonly, identity: shown }) => ({ device, readonly, identity: shown }));
  }

  async detach(ctx: Context, devices: readonly Device[]): Promise<void> {
    for (const { device, identity } of devices) {
      // What is there now: a device's name is used again, for other volumes too.
      const mapped = (await this.#list()).find((one) => one.device === device && one.identity === identity);
      if (mapped && !(await isMounted(device))) await this.#unmap(ctx, mapped);
    }
  }

  readRecord(ctx: Context, ref: NodeRef) {
    const image = imageOf(ref);
    return readFormat(ctx, this.#cluster(image), image);
  }

  async writeRecord(ctx: Context, ref: NodeRef, record: Parameters<DeviceAttacher["writeRecord"]>[2]) {
    const image = imageOf(ref);
    await writeFormat(ctx, this.#cluster(image), image, record);
    // The cluster answers once it is on its disks.
    return { synced: Promise.resolve() };
  }

  async proveBlank(ctx: Context, ref: NodeRef, device: string): Promise<void> {
    const image = imageOf(ref);
    const cluster = this.#cluster(image);
    const { sizeBytes } = await imageFacts(ctx, cluster, image);
    const extents = await allocatedOf(ctx, cluster, image);
    await proveDeviceBlank(this.options.exec, ctx, { volumeId: ref.volumeId, device, sizeBytes }, extents);
  }

  async problem(_ctx: Context, ref: NodeRef, identity: string): Promise<string | undefined> {
    const dead = (await this.#list()).find((mapped) => mapped.identity === identity && !mapped.alive);
    if (!dead) return undefined;
    return `the ${dead.mapper} of volume ${ref.volumeId} on ${dead.device} has ended: unpublish and unstage the volume, and stage it again`;
  }

  async heal(ctx: Context, known: readonly { ref: NodeRef; identity: string }[]): Promise<void> {
    const identities = new Set(known.map(({ identity }) => identity));
    await healAttachments(ctx, this.#attachments, this.#mappers, identities);
  }

  #cluster({ cluster: name, volumeId }: RbdImage): CephCluster {
    const cluster = this.options.cluster(name);
    if (!cluster)
      throw refuse(`volume ${volumeId} is of the Ceph cluster ${name}, which is not in this node's config: clusters`);
    return cluster;
  }

  async #identity(ctx: Context, cluster: CephCluster, image: RbdImage): Promise<string> {
    const fsid = this.#fsids.get(cluster.name) ?? (await cluster.run(ctx, "ceph", ["fsid"])).stdout.trim();
    this.#fsids.set(cluster.name, fsid);
    return identityOf(fsid, image);
  }

  async #list(): Promise<Mapped[]> {
    return (await Promise.all(this.#mappers.map((mapper) => mapper.list()))).flat();
  }

  async #find(identity: string, readonly: boolean): Promise<Mapped | undefined> {
    return (await this.#list()).find((one) => one.identity === identity && one.readonly === readonly);
  }

  #mapperOf(kind: MapperKind): Mapper {
    return this.#mappers.find((mapper) => mapper.kind === kind) as Mapper;
  }

  /** A device that is there may have lost its cluster for good: its daemon died, or its client was fenced. */
  async #serves(ctx: Context, mapped: Mapped): Promise<boolean> {
    const mounted = await isMounted(mapped.device);
    const serves = mapped.alive && (mounted || (await readsDirectly(this.options.exec, ctx.signal, mapped.device)));
    if (!serves && mounted)
      throw refuse(`${mapped.device} lost its image, and is still mounted: unpublish and unstage the volume first`);
    return serves;
  }

  async #unmap(ctx: Context, mapped: Mapped): Promise<void> {
    const { mapper, identity, readonly } = mapped;
    const attachment = await this.#attachments.read(identity, readonly);
    await this.#mapperOf(mapper).unmap(ctx, mapped);
    // A dead client is kept in mind until it is known whether the cluster still takes it for alive.
    if (!mapped.alive) return;
    if (attachment) await withdrawClient(ctx, this.options.cluster, this.options.nodeId, attachment);
    await this.#attachments.forget(identity, readonly);
  }

  async #map(
    ctx: Context,
    cluster: CephCluster,
    { image, identity, readonly, facts }: { image: RbdImage; identity: string; readonly: boolean; facts: ImageFacts },
  ): Promise<void> {
    const prove = async () => void (await imageFacts(ctx, cluster, image));
    const wish: MapWish = { image, identity, readonly, ...facts, prove };
    const mapper = await this.#choose(ctx, wish);
    const earlier = await this.#attachments.read(identity, readonly);
    if (earlier) {
      // What the process held is gone with it; what it left is in the way.
      await this.#mapperOf(earlier.mapper).clear(ctx, identity, readonly);
      await releaseDeadClient(ctx, cluster, image, earlier);
    }
    const before = readonly || mapper.kind === "krbd" ? [] : await watchersOf(ctx, cluster, image);
    const { volumeId } = image;
    const record = { mapper: mapper.kind, identity, readonly, volumeId, spec: specOf(image) };
    await this.#attachments.write(record);
    await mapper.map(ctx, wish, cluster);
    const mapped = await this.#find(identity, readonly);
    if (mapped && !readonly) await this.#announce(ctx, cluster, image, mapped, before);
  }

  /** Says whose client has the image, unless it was said. A read-only one can write nothing: nobody need cut it off. */
  async #announce(
    ctx: Context,
    cluster: CephCluster,
    image: RbdImage,
    { mapper, device, identity, readonly }: Mapped,
    before: readonly string[],
  ): Promise<void> {
    const attachment: Attachment = (await this.#attachments.read(identity, readonly)) ?? {
      ...{ mapper, identity, readonly, volumeId: image.volumeId, spec: specOf(image) },
    };
    if (attachment.client !== undefined) return;
    const client = mapper === "krbd" ? await krbdClient(device) : await newClient(ctx, cluster, image, before);
    if (client === undefined) {
      ctx.log.warn({ volumeId: image.volumeId }, "which of the image's clients is this node's is not certain");
      return;
    }
    await announceClient(ctx, cluster, specOf(image), { nodeId: this.options.nodeId, address: client, mapper });
    await this.#attachments.write({ ...attachment, client });
  }

  async #choose(ctx: Context, wish: MapWish): Promise<Mapper> {
    const refusals: string[] = [];
    for (const kind of await this.#usableMappers(ctx)) {
      const mapper = this.#mapperOf(kind);
      const refusal = await mapper.refuses(wish);
      if (refusal === undefined) return mapper;
      refusals.push(`${kind}: ${refusal}`);
    }
    throw refuse(
      `this host cannot map the image of volume ${wish.image.volumeId} (${refusals.join("; ") || "it has no mapper"}); granary doctor says more`,
    );
  }

  /** Asked once: the same image must not be mapped in two ways because a module was loaded in between. */
  #usableMappers(ctx: Context): Promise<MapperKind[]> {
    const { exec, mapper } = this.options;
    if (mapper) return Promise.resolve([mapper]);
    this.#usable ??= mapperReports(exec, ctx.signal).then((reports) =>
      reports.filter(({ usable }) => usable).map(({ kind }) => kind),
    );
    this.#usable.catch(() => {
      this.#usable = undefined;
    });
    return this.#usable;
  }

  /** Makes the device as large as the image, which may have grown since, and proves it. */
  async #fit(ctx: Context, mapped: Mapped, sizeBytes: bigint): Promise<bigint> {
    // A device counts whole sectors.
    const wanted = sizeBytes - (sizeBytes % 512n);
    if (mapped.sizeBytes < wanted) await this.#mapperOf(mapped.mapper).grow(ctx, mapped, sizeBytes);
    const now = (await this.#list()).find(({ device }) => device === mapped.device)?.sizeBytes;
    if (now === undefined || now < wanted)
      throw refuse(`${mapped.device} has ${now ?? 0} bytes and its image ${sizeBytes}`);
    return now;
  }
}
