import type { Place } from "./place.js";

const ROUNDS = 4;

interface RadosObject {
  namespace: string;
  name: string;
}

function tries(work: () => void): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}

const told = (what: string) => console.error(`${what} could not be taken off the cluster: a client may still have it`);

/** Every image of the namespace, in the trash too, with its snapshots; clones before what they were made from. */
export function removeImages({ env, name, spec, rbd, rados }: Place): void {
  for (let round = 0; round < ROUNDS; round++) {
    const images = JSON.parse(rbd("ls", "--format", "json", spec)) as string[];
    const trash = JSON.parse(rbd("trash", "ls", "--all", "--format", "json", spec)) as { id: string }[];
    if (images.length + trash.length === 0) break;
    for (const name of images) {
      tries(() => rbd("snap", "purge", "--no-progress", `${spec}/${name}`));
      tries(() => rbd("rm", "--no-progress", `${spec}/${name}`));
    }
    for (const { id } of trash) {
      const at = ["--pool", env.rbd.pool, "--namespace", name, "--image-id", id];
      tries(() => rbd("snap", "purge", "--no-progress", ...at));
      tries(() => rbd("trash", "rm", "--force", "--no-progress", ...at));
    }
  }
  const at = ["--pool", env.rbd.pool, "--namespace", name];
  if (!tries(() => rbd("namespace", "remove", spec))) {
    told(`RBD namespace ${spec}`);
    return;
  }
  const left = rados(...at, "ls")
    .split("\n")
    .filter(Boolean);
  if (left.length > 0) rados(...at, "rm", ...left);
}

/** Every subvolume of the group, with its snapshots and unfinished clones, and what is kept of them as records and keys. */
export function removeSubvolumes({ env, name: place, ceph, rados }: Place): void {
  const fs = env.fs.filesystem;
  const names = (...args: string[]) =>
    (JSON.parse(ceph("fs", ...args, "--format", "json")) as { name: string }[]).map(({ name }) => name);
  for (const subvolume of names("subvolume", "ls", fs, place)) {
    tries(() => ceph("fs", "clone", "cancel", fs, subvolume, "--group_name", place));
    tries(() => {
      for (const snapshot of names("subvolume", "snapshot", "ls", fs, subvolume, place))
        ceph("fs", "subvolume", "snapshot", "rm", fs, subvolume, snapshot, place, "--force");
    });
    tries(() => ceph("fs", "subvolume", "rm", fs, subvolume, place, "--force"));
  }
  if (!tries(() => ceph("fs", "subvolumegroup", "rm", fs, place, "--force"))) told(`subvolume group ${place}`);
  const all = JSON.parse(ceph("fs", "ls", "--format", "json")) as { name: string; metadata_pool: string }[];
  const pool = all.find(({ name }) => name === fs)?.metadata_pool ?? "";
  const objects = JSON.parse(rados("--pool", pool, "--all", "ls", "--format", "json")) as RadosObject[];
  for (const { namespace, name } of objects)
    if (namespace === `granary.${place}` || namespace.startsWith(`granary.${place}.`))
      rados("--pool", pool, "--namespace", namespace, "rm", name);
}
