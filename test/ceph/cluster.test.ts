import { describe, expect, it } from "vitest";
import { makePlace } from "./place.js";

describe("the cluster of the tests", () => {
  it("gives a test a namespace and a subvolume group of its own, and takes them away with all that is in them", () => {
    const place = makePlace();
    const { env, rbd, ceph, spec, name } = place;
    rbd("create", "--size", "8M", `${spec}/source`);
    rbd("snap", "create", "--no-progress", `${spec}/source@s`);
    rbd("clone", `${spec}/source@s`, `${spec}/clone`);
    rbd("trash", "mv", `${spec}/source`);
    ceph("fs", "subvolume", "create", env.fs.filesystem, "one", "--group_name", name);
    ceph("fs", "subvolume", "snapshot", "create", env.fs.filesystem, "one", "s", "--group_name", name);
    place.remove();
    expect(rbd("namespace", "ls", "--format", "json", env.rbd.pool)).not.toContain(name);
    expect(ceph("fs", "subvolumegroup", "ls", env.fs.filesystem, "--format", "json")).not.toContain(name);
  });
});
