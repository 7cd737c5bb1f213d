import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tool } from "./csi-requests.js";
import { claim, claimVolume, makeWorld, pod, storageClass, type World } from "./manifests-world.js";
import { type Sandbox, startServer } from "./server-harness.js";

const HOST = "topology.csi.granary.dev/host";
const only = (host: string) => `allowedTopologies: [{ matchLabelExpressions: [{ key: ${HOST}, values: [${host}] }] }]`;
const LATE = "volumeBindingMode: WaitForFirstConsumer";

let world: World;
let bin = "";

/** Puts a script in the place of a tool that the server runs; `$real` in it is the tool. */
function replaceTool(name: string, script: string): void {
  const path = join(bin, name);
  writeFileSync(path, `#!/bin/sh\nreal=${tool("which", name).trim()}\n${script}\n`);
  chmodSync(path, 0o755);
}

function withOwnTools(sandbox: Sandbox) {
  bin = join(sandbox.dir, "bin");
  mkdirSync(bin, { recursive: true });
  return { env: { PATH: `${bin}:${process.env.PATH}` } };
}

beforeAll(async () => {
  world = await makeWorld(undefined, withOwnTools);
  await world.apply(
    storageClass("plain") +
      storageClass("late", [LATE]) +
      storageClass("growing", ["allowVolumeExpansion: true"]) +
      storageClass("here", [only("host-1")]) +
      storageClass("elsewhere", [only("host-2")]) +
      storageClass("here-late", [LATE, only("host-1")]) +
      storageClass("elsewhere-late", [LATE, only("host-2")]),
  );
}, 60_000);
afterAll(() => world.close());

const phase = (name: string) => world.get("PersistentVolumeClaim", name).status.phase;
const bound = (name: string) => world.get("PersistentVolumeClaim", name).spec.volumeName;

async function clear(pods: readonly string[], claims: readonly string[], volumes: readonly string[] = []) {
  for (const name of pods) await world.remove("Pod", name);
  for (const name of claims) await world.remove("PersistentVolumeClaim", name);
  for (const name of volumes) await world.remove("PersistentVolume", name);
  for (const kind of ["Pod", "PersistentVolumeClaim", "PersistentVolume"] as const)
    expect(world.store.list(kind)).toEqual([]);
}

/** A PersistentVolume made by hand; binding needs no volume behind it. */
const volume = (name: string, spec: Record<string, unknown> = {}, labels: Record<string, string> = {}) =>
  `\n---\n${JSON.stringify({
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name, labels },
    spec: {
      capacity: { storage: "32Mi" },
      accessModes: ["ReadWriteOnce"],
      csi: { driver: "csi.granary.dev", volumeHandle: `handle-of-${name}` },
      ...spec,
    },
  })}\n`;
const classless = (name: string, spec: Record<string, unknown> = {}) => claim(name, { storageClassName: "", ...spec });
const onHost = (host: string) => ({
  nodeAffinity: {
    required: { nodeSelectorTerms: [{ matchExpressions: [{ key: HOST, operator: "In", values: [host] }] }] },
  },
});

describe("where a volume may be", () => {
  it("allowedTopologies with this host: provisioned, at once or for its first pod", async () => {
    const result = await world.apply(
      claim("now", { storageClassName: "here" }) +
        claim("then", { storageClassName: "here-late" }) +
        pod("user", [claimVolume("then")]),
    );
    expect(result).toEqual({ waiting: [], failed: [] });
    await clear(["user"], ["now", "then"]);
  });

  it("allowedTopologies without this host: refused, naming topology or node, and nothing is made", async () => {
    const result = await world.apply(
      claim("now", { storageClassName: "elsewhere" }) +
        claim("then", { storageClassName: "elsewhere-late" }) +
        pod("user", [claimVolume("then")]),
    );
    expect(result.failed.map(({ object, message }) => [object.metadata.name, message])).toEqual([
      ["now", expect.stringMatching(/^RESOURCE_EXHAUSTED: .*topolog/)],
      ["then", expect.stringContaining("leave out node host-1")],
    ]);
    expect([phase("now"), phase("then"), await world.volumeIds()]).toEqual(["Pending", "Pending", []]);
    await clear(["user"], ["now", "then"]);
  });

  it("nodeSelector: a pod for this host runs, one for another is not placed and says why", async () => {
    const select = (host: string) => ({
      nodeSelector: { "kubernetes.io/hostname": host, "kubernetes.io/os": "linux" },
    });
    const result = await world.apply(
      claim("data") +
        pod("here", [claimVolume("data")], select("host-1")) +
        pod("there", [claimVolume("data")], select("host-2")),
    );
    expect(result.failed).toMatchObject([
      {
        object: { metadata: { name: "there" } },
        reason: "FailedScheduling",
        message: "nodeSelector asks for kubernetes.io/hostname=host-2, which node host-1 has as host-1",
      },
    ]);
    expect(world.get("Pod", "here").status.phase).toBe("Running");
    expect(world.get("Pod", "there").status).toMatchObject({ phase: "Pending", volumes: [] });
    await clear(["here", "there"], ["data"]);
  });

  it("nodeAffinity of a PersistentVolume: one of another host is not chosen, and one that is named gets no pod", async () => {
    await world.apply(volume("far", onHost("host-2")) + volume("near", onHost("host-1")) + classless("chooser"));
    expect(bound("chooser")).toBe("near");
    const named = classless("named", { volumeName: "far" }) + pod("user", [claimVolume("named")]);
    const { failed } = await world.apply(named);
    expect([phase("named"), failed]).toMatchObject([
      "Bound",
      [{ reason: "FailedScheduling", message: expect.stringContaining("persistentvolume far leaves out node host-1") }],
    ]);
    await clear(["user"], ["chooser", "named"], ["far", "near"]);
  });

  it("a provisioned volume's nodeAffinity names its host", async () => {
    await world.apply(claim("made"));
    const { spec } = world.get("PersistentVolume", bound("made") ?? "");
    expect(spec.nodeAffinity).toEqual(onHost("host-1").nodeAffinity);
    await clear([], ["made"]);
  });
});

describe("which volume a claim gets", () => {
  it("selector: the volume with the labels, not a smaller one without; none with them: nothing is made", async () => {
    const select = (tier: string) => ({ selector: { matchLabels: { tier } } });
    await world.apply(
      volume("anyone") +
        volume("fast", { capacity: { storage: "64Mi" } }, { tier: "fast" }) +
        classless("picky", select("fast")),
    );
    expect(bound("picky")).toBe("fast");
    const result = await world.apply(claim("pickier", select("gold")));
    expect(result.failed).toMatchObject([
      { message: expect.stringContaining("a claim with a selector is bound to a volume that exists") },
    ]);
    expect(await world.volumeIds()).toEqual([]);
    await clear([], ["picky", "pickier"], ["anyone", "fast"]);
  });

  it("volumeName: waits for that volume, is refused one that does not fit or is another's, and gets it when it does", async () => {
    const named = (name: string) => classless(name, { volumeName: "mine" });
    const waiting = await world.apply(named("first"));
    expect(waiting.waiting).toMatchObject([{ message: "volumeName: persistentvolume mine not found" }]);
    const small = await world.apply(volume("mine", { capacity: { storage: "16Mi" } }));
    expect(small.failed).toMatchObject([{ reason: "VolumeMismatch", message: expect.stringContaining("too small") }]);
    expect((await world.apply(volume("mine"))).failed).toEqual([]);
    expect([phase("first"), bound("first")]).toEqual(["Bound", "mine"]);
    const second = await world.apply(named("second"));
    expect(second.failed).toMatchObject([{ message: "persistentvolume mine is bound to default/first" }]);
    await clear([], ["first", "second"], ["mine"]);
  });

  it("its volume's object is gone: Lost, with the reason; and Bound again when that comes back", async () => {
    await world.apply(claim("loser"));
    const object = world.get("PersistentVolume", bound("loser") ?? "");
    await world.store.remove(object);
    const result = await world.reconcile();
    expect([phase("loser"), result.failed]).toMatchObject(["Lost", [{ reason: "ClaimLost" }]]);
    expect(world.events(world.get("PersistentVolumeClaim", "loser")).join()).toContain(object.metadata.name);
    await world.store.put(object);
    expect(await world.reconcile()).toEqual({ waiting: [], failed: [] });
    expect(phase("loser")).toBe("Bound");
    await clear([], ["loser"]);
  });
});

describe("what does not go well at once", () => {
  it("a refused online growth: the claim says so and keeps its size, and grows when its pod comes back", async () => {
    const size = (storage: string) => ({ storageClassName: "growing", resources: { requests: { storage } } });
    await world.apply(claim("grow", size("64Mi")) + pod("user", [claimVolume("grow")]));
    writeFileSync(join(world.path("user", "data"), "file"), "kept");
    // What ext4 answers where CAP_SYS_RESOURCE is missing; not while it is unmounted.
    const refusal =
      'if grep -q "^$1 " /proc/self/mounts; then echo "resize2fs: Permission denied to resize filesystem" >&2; exit 1; fi';
    replaceTool("resize2fs", `${refusal}\nexec "$real" "$@"`);
    const result = await world.apply(claim("grow", size("128Mi")));
    expect(result).toMatchObject({ failed: [], waiting: [{ reason: "NodeExpansionRefused" }] });
    expect(world.get("PersistentVolumeClaim", "grow").status).toMatchObject({
      capacity: { storage: "64Mi" },
      conditions: expect.arrayContaining([
        expect.objectContaining({
          type: "FileSystemResizePending",
          status: "True",
          message: expect.stringContaining("waiting for a pod to (re)start"),
        }),
      ]),
    });
    await world.remove("Pod", "user");
    expect(await world.apply(pod("user", [claimVolume("grow")]))).toEqual({ waiting: [], failed: [] });
    expect(world.get("PersistentVolumeClaim", "grow").status).toMatchObject({
      capacity: { storage: "128Mi" },
      conditions: [],
    });
    expect(existsSync(join(world.path("user", "data"), "file"))).toBe(true);
    await clear(["user"], ["grow"]);
  });

  it("a server that is killed in the middle and started again: the same run goes on and ends well", async () => {
    const [begun, go] = [join(world.sandbox.dir, "begun"), join(world.sandbox.dir, "go")];
    replaceTool(
      "mkfs.ext4",
      `if [ ! -e ${begun} ]; then : > ${begun}; while [ ! -e ${go} ]; do sleep 0.02; done; exit 1; fi\nexec "$real" "$@"`,
    );
    const running = world.apply(claim("stubborn") + pod("user", [claimVolume("stubborn")]));
    while (!existsSync(begun)) await new Promise((resolve) => setTimeout(resolve, 20));
    process.kill(world.server.pid, "SIGKILL");
    await world.server.ended;
    writeFileSync(go, "");
    const again = await startServer(world.sandbox, withOwnTools(world.sandbox));
    try {
      expect(await running).toEqual({ waiting: [], failed: [] });
      expect(world.get("Pod", "user").status.phase).toBe("Running");
      expect(world.events(world.get("Pod", "user")).join()).toContain("UNAVAILABLE");
      expect(await world.volumeIds()).toHaveLength(1);
      await clear(["user"], ["stubborn"]);
    } finally {
      await again.stop();
    }
  });
});
