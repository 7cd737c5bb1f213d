import { z } from "zod";
import type { ClusterConfig } from "../../../config/clusters.js";
import { StorageError } from "../../../errors/storage-error.js";
import type { Context } from "../../types.js";
import type { Place } from "./names.js";
import type { Ceph } from "./subvolumes.js";

/** What a file system is, as long as it lives. */
export interface FilesystemFacts {
  filesystem: string;
  place: Place;
  metadataPool: string;
  /** The first is its default. */
  dataPools: readonly string[];
}

const List = z.array(z.looseObject({ name: z.string(), metadata_pool: z.string(), data_pools: z.array(z.string()) }));
const FsMap = z.looseObject({ id: z.number() });

/** Asked for once, when the cluster answers: a server starts without it too. */
export function filesystemFacts(config: ClusterConfig, ceph: Ceph): (ctx: Context) => Promise<FilesystemFacts> {
  let known: FilesystemFacts | undefined;
  return async (ctx) => {
    known ??= await read(config, ceph, ctx);
    return known;
  };
}

async function read(config: ClusterConfig, ceph: Ceph, ctx: Context): Promise<FilesystemFacts> {
  const list = List.parse(JSON.parse(await ceph(ctx, ["fs", "ls"])));
  const names = list.map(({ name }) => name).join(", ") || "none";
  const found = list.filter(({ name }) => config.filesystem === "" || name === config.filesystem);
  const [first] = found;
  const field = `config: clusters.${config.name}.filesystem`;
  if (!first) {
    const what = config.filesystem === "" ? "the cluster has no file system" : `there is no ${config.filesystem}`;
    throw new StorageError("failed-precondition", `${field}: ${what}; it has: ${names}`);
  }
  if (found.length > 1)
    throw new StorageError("failed-precondition", `${field}: the cluster has several, name one: ${names}`);
  const { id } = FsMap.parse(JSON.parse(await ceph(ctx, ["fs", "get", first.name])));
  return {
    filesystem: first.name,
    place: `${config.name}.${id}`,
    metadataPool: first.metadata_pool,
    dataPools: first.data_pools,
  };
}
