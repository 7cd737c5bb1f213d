import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  block,
  bytes,
  type Calls,
  callsOf,
  fromSnapshot,
  fromVolume,
  type Made,
  MIB,
  mount,
  readAt,
  tool,
  writeAt,
} from "./csi-requests.js";
import {
  failureOf,
  loopsUnder,
  makeSandbox,
  mountsUnder,
  removeSandbox,
  type Sandbox,
  startServer,
  type TestServer,
} from "./server-harness.js";

// Without reflinks every snapshot and clone is a copy: the same must hold.
const POOLS: [string, number][] = [
  ["a pool with reflinks", 4 * 1024 * MIB],
  ["a pool without reflinks", 0],
];

describe.each(POOLS)("%s", (pool, poolBytes) => {
  let sandbox: Sandbox;
  let server: TestServer;
  let csi: Calls;

  beforeAll(async () => {
    sandbox = makeSandbox(poolBytes);
    if (poolBytes === 0) {
      // ext4 has no reflinks, whatever the temporary folder's file system has.
      const image = join(sandbox.dir, "pool.img");
      tool("truncate", "-s", String(2 * 1024 * MIB), image);
      tool("mkfs.ext4", "-q", image);
      tool("mount", "-o", "loop", image, sandbox.poolDir);
    }
    server = await startServer(sandbox);
    csi = callsOf(server.client, sandbox);
    expect(server.log()).toContain(pool.includes("without") ? "without reflinks" : "with reflinks");
  });

  afterAll(async () => {
    await server?.stop();
    removeSandbox(sandbox);
  });

  const data = (volume: Made) => join(csi.staging(volume.volume_id), "data");
  const write = (volume: Made, text: string) => {
    writeFileSync(data(volume), text, { flush: true });
  };
  const copyOf = (name: string, source: ReturnType<typeof fromVolume> | ReturnType<typeof fromSnapshot>, size = 32) =>
    csi.create(name, { volume_content_source: source, capacity_range: bytes(size * MIB) });
  /** Detached first, so that what is read comes from the image. */
  const readBack = async (volume: Made) => {
    await csi.attach(volume);
    const text = readFileSync(data(volume), "utf8");
    await csi.detach(volume.volume_id);
    return text;
  };

  describe("CreateSnapshot", () => {
    it("holds the data as of the cut of a mounted volume, ready to use when it returns", async () => {
      const source = await csi.create("cut-source");
      await csi.attach(source);
      write(source, "before");
      const cut = await csi.snapshot("cut", source.volume_id);
      expect(cut).toEqual(expect.objectContaining({ ready_to_use: true, size_bytes: String(32 * MIB) }));
      write(source, "after, and longer");
      const restored = await copyOf("cut-restored", fromSnapshot(cut.snapshot_id ?? ""));
      expect(await readBack(restored)).toBe("before");
      expect(readFileSync(data(source), "utf8")).toBe("after, and longer");
      await csi.detach(source.volume_id);
      for (const made of [restored, source]) await csi.remove(made.volume_id);
      await csi.removeSnapshot(cut.snapshot_id ?? "");
    });

    it("rule 21: the same again: OK with the first cut; same name, other volume: ALREADY_EXISTS", async () => {
      const [one, other] = [await csi.create("named-one"), await csi.create("named-other")];
      const cut = await csi.snapshot("named", one.volume_id);
      expect(await csi.snapshot("named", one.volume_id)).toEqual(cut);
      const refused = await failureOf(csi.snapshot("named", other.volume_id));
      expect(refused).toEqual({ code: "ALREADY_EXISTS", details: expect.stringContaining(one.volume_id) as string });
      const missing = await failureOf(csi.snapshot("named-missing", `g1-l-v-${"0".repeat(24)}`));
      expect(missing.code).toBe("NOT_FOUND");
      // Its name may be another's once it is deleted.
      await csi.removeSnapshot(cut.snapshot_id ?? "");
      await csi.snapshot("named", other.volume_id);
    });

    it("rule 18: one whose cut fails is never listed, and leaves no folder", async () => {
      const source = await csi.create("unlisted");
      tool("mv", csi.image(source.volume_id), `${csi.image(source.volume_id)}.away`);
      const failure = await failureOf(csi.snapshot("unlisted-cut", source.volume_id));
      expect(failure).toEqual({ code: "FAILED_PRECONDITION", details: expect.stringContaining("missing") as string });
      const { entries } = await server.client.call("Controller", "ListSnapshots", {
        source_volume_id: source.volume_id,
      });
      expect(entries).toEqual([]);
      tool("mv", `${csi.image(source.volume_id)}.away`, csi.image(source.volume_id));
      const cut = await csi.snapshot("unlisted-cut", source.volume_id);
      expect(existsSync(join(sandbox.poolDir, "snapshots", cut.snapshot_id ?? ""))).toBe(true);
    });
  });

  describe("CreateSnapshot of a raw volume in use", () => {
    it("one point in time where extents are shared; refused where they would be copied one after the other", async () => {
      const source = await csi.create("raw-in-use", { volume_capabilities: [block()] });
      await csi.attach(source, block());
      const failure = await failureOf(csi.snapshot("raw-in-use", source.volume_id));
      expect(failure.code).toBe(poolBytes > 0 ? "OK" : "FAILED_PRECONDITION");
      if (poolBytes === 0) expect(failure.details).toMatch(/raw device.*granary pool init/);
      await csi.detach(source.volume_id);
      const cut = await csi.snapshot("raw-in-use", source.volume_id);
      await csi.removeSnapshot(cut.snapshot_id ?? "");
      await csi.remove(source.volume_id);
    });
  });

  describe("DeleteVolume", () => {
    it("rule 11: its snapshots stay listed and fully usable", async () => {
      const source = await csi.create("leaves");
      await csi.attach(source);
      write(source, "kept by the snapshot");
      const cut = await csi.snapshot("stays", source.volume_id);
      await csi.detach(source.volume_id);
      await csi.remove(source.volume_id);
      const { entries } = await server.client.call("Controller", "ListSnapshots", {
        source_volume_id: source.volume_id,
      });
      expect(entries?.map((entry) => entry.snapshot)).toEqual([cut]);
      expect(await readBack(await copyOf("stays-restored", fromSnapshot(cut.snapshot_id ?? "")))).toBe(
        "kept by the snapshot",
      );
    });

    it.each([
      ["source, snapshot, clone", [0, 1, 2]],
      ["clone, source, snapshot", [2, 0, 1]],
      ["snapshot, clone, source", [1, 2, 0]],
      ["snapshot, source, clone", [1, 0, 2]],
    ] as [string, number[]][])("%s, in this order: what is left keeps its data", async (order, sequence) => {
      const source = await csi.create(`order ${order}`);
      await csi.attach(source);
      write(source, order);
      const cut = (await csi.snapshot(`order ${order}`, source.volume_id)).snapshot_id ?? "";
      const clone = await copyOf(`clone ${order}`, fromVolume(source.volume_id));
      await csi.detach(source.volume_id);
      const left = new Set(sequence);
      for (const one of sequence) {
        if (one === 1) await csi.removeSnapshot(cut);
        else await csi.remove(one === 0 ? source.volume_id : clone.volume_id);
        left.delete(one);
        if (left.has(0)) expect(await readBack(source)).toBe(order);
        if (left.has(2)) expect(await readBack(clone)).toBe(order);
        if (left.has(1)) {
          const restored = await copyOf(`restored ${order}`, fromSnapshot(cut));
          expect(await readBack(restored)).toBe(order);
          await csi.remove(restored.volume_id);
        }
      }
    });
  });

  describe("DeleteSnapshot", () => {
    it("rule 22: gone: OK; of a group: INVALID_ARGUMENT; a volume that was made of it does not hold it", async () => {
      const source = await csi.create("grouped");
      await csi.attach(source);
      await csi.detach(source.volume_id);
      const group = await csi.group("grouped", [source.volume_id]);
      const member = group.snapshots?.[0]?.snapshot_id ?? "";
      const refused = await failureOf(csi.removeSnapshot(member));
      expect(refused).toEqual({
        code: "INVALID_ARGUMENT",
        details: expect.stringContaining(group.group_snapshot_id ?? "?") as string,
      });
      const cut = (await csi.snapshot("held", source.volume_id)).snapshot_id ?? "";
      const restored = await copyOf("held-restored", fromSnapshot(cut));
      await csi.attach(restored);
      await csi.removeSnapshot(cut);
      await csi.removeSnapshot(cut);
      await csi.detach(restored.volume_id);
    });
  });

  describe("CreateVolume", () => {
    it("of a source that nothing was ever written to: formatted when it is first mounted, as the source would be", async () => {
      const source = await csi.create("unwritten");
      const cut = await csi.snapshot("unwritten", source.volume_id);
      const clone = await copyOf("unwritten-clone", fromVolume(source.volume_id));
      const restored = await copyOf("unwritten-restored", fromSnapshot(cut.snapshot_id ?? ""));
      for (const volume of [clone, restored]) {
        await csi.attach(volume);
        write(volume, "mine");
        await csi.detach(volume.volume_id);
        expect(await readBack(volume)).toBe("mine");
      }
      await csi.removeSnapshot(cut.snapshot_id ?? "");
      for (const { volume_id } of [source, clone, restored]) await csi.remove(volume_id);
    });

    it.each(["ext4", "xfs"])("rule 5: larger than its source, its %s too by the time it is published", async (fs) => {
      const size = fs === "xfs" ? 300 : 32;
      const capability = mount("SINGLE_NODE_WRITER", { fs_type: fs });
      const ask = { volume_capabilities: [capability], capacity_range: bytes(size * MIB) };
      const source = await csi.create(`grown ${fs}`, ask);
      await csi.attach(source, capability);
      write(source, "small");
      const cut = await csi.snapshot(`grown ${fs}`, source.volume_id);
      for (const [what, content] of [
        ["restore", fromSnapshot(cut.snapshot_id ?? "")],
        ["clone", fromVolume(source.volume_id)],
      ] as const) {
        const larger = await csi.create(`grown ${fs} ${what}`, {
          ...ask,
          capacity_range: bytes(2 * size * MIB),
          volume_content_source: content,
        });
        // Beside its source, with the same file system UUID.
        await csi.attach(larger, capability);
        await csi.publish(larger, {}, "a", capability);
        const { usage } = await csi.stats(larger.volume_id, csi.target(larger.volume_id));
        expect(Number(usage?.[0]?.total)).toBeGreaterThan(1.5 * size * MIB);
        expect(readFileSync(join(csi.target(larger.volume_id), "data"), "utf8")).toBe("small");
        await csi.unpublish(larger.volume_id);
        await csi.detach(larger.volume_id);
        await csi.remove(larger.volume_id);
      }
      await csi.detach(source.volume_id);
    });

    it("a clone and its source are independent, byte for byte, as raw devices", async () => {
      const source = await csi.create("raw", { volume_capabilities: [block()] });
      const image = csi.image(source.volume_id);
      writeAt(image, 4 * MIB, Buffer.alloc(MIB, 0x11));
      const clone = await csi.create("raw-clone", {
        volume_capabilities: [block()],
        volume_content_source: fromVolume(source.volume_id),
      });
      const sum = (id: string) =>
        createHash("sha256")
          .update(readFileSync(csi.image(id)))
          .digest("hex");
      const first = sum(source.volume_id);
      expect(sum(clone.volume_id)).toBe(first);
      await csi.attach(clone, block());
      await csi.publish(clone, {}, "a", block());
      writeAt(csi.target(clone.volume_id), 4 * MIB, Buffer.alloc(4096, 0x22));
      await csi.unpublish(clone.volume_id);
      await csi.detach(clone.volume_id);
      expect(readAt(csi.image(clone.volume_id), 4 * MIB, 1)[0]).toBe(0x22);
      expect(sum(source.volume_id)).toBe(first);
    });
  });

  it("nothing stays mounted or attached but the pool", () => {
    expect(mountsUnder(sandbox.dir)).toEqual([sandbox.poolDir]);
    expect(loopsUnder(sandbox.dir)).toHaveLength(1);
  });
});
