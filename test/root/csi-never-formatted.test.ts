import { copyFileSync, readFileSync, renameSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { block, bytes, type Calls, callsOf, type Made, MIB, mount, readAt, tool, writeAt } from "./csi-requests.js";
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

let sandbox: Sandbox;
let server: TestServer;
let csi: Calls;

beforeEach(async () => {
  sandbox = makeSandbox();
  server = await startServer(sandbox);
  csi = callsOf(server.client, sandbox);
});

afterEach(async () => {
  await server?.stop();
  removeSandbox(sandbox);
});

const stage = async (volume: Made, publishContext?: Record<string, string>) => {
  const context = publishContext ?? (await csi.controllerPublish(volume.volume_id)).publish_context ?? {};
  return failureOf(csi.stage(volume, context));
};
const refusal = (words: RegExp) => ({
  code: "FAILED_PRECONDITION",
  details: expect.stringMatching(words) as string,
});
const nothingAttached = () => {
  expect(mountsUnder(sandbox.dir)).toEqual([sandbox.poolDir]);
  expect(loopsUnder(sandbox.dir)).toHaveLength(1);
};

describe("NodeStageVolume", () => {
  it.each([
    ["mkfs.xfs", 320],
    ["mkfs.btrfs", 128],
    ["mkfs.ext4", 32],
    ["mkswap", 32],
  ] as const)(
    "a foreign signature without a format record (%s): FAILED_PRECONDITION, and not a byte is changed",
    async (program, mib) => {
      const volume = await csi.create("foreign", { capacity_range: bytes(mib * MIB) });
      const image = csi.image(volume.volume_id);
      tool(program, image);
      const sum = tool("sha256sum", image);
      expect(await stage(volume)).toEqual(refusal(/never formatted over/));
      expect(tool("sha256sum", image)).toBe(sum);
      nothingAttached();
    },
  );

  it("a foreign signature that blkid does not know: FAILED_PRECONDITION", async () => {
    const volume = await csi.create("unknown");
    const image = csi.image(volume.volume_id);
    writeAt(image, 700_001, "somebody's own format");
    expect(await stage(volume)).toEqual(refusal(/holds data; it is never formatted over/));
    expect(readAt(image, 700_001, 10).toString()).toBe("somebody's");
  });

  it("data in the middle, without any signature: FAILED_PRECONDITION; written zeros, thick or not: formatted", async () => {
    const middle = await csi.create("middle");
    writeAt(csi.image(middle.volume_id), 16 * MIB + 4097, "in the middle of nowhere");
    expect(await stage(middle)).toEqual(refusal(/holds data; it is never formatted over/));
    expect(readAt(csi.image(middle.volume_id), 16 * MIB + 4097, 24).toString()).toBe("in the middle of nowhere");
    nothingAttached();
    const zeros = await csi.create("zeros");
    writeAt(csi.image(zeros.volume_id), 16 * MIB, Buffer.alloc(MIB));
    const thick = await csi.create("thick", { parameters: { provisioning: "thick" } });
    for (const volume of [zeros, thick]) {
      await csi.attach(volume);
      await csi.detach(volume.volume_id);
    }
  });

  it("a first block that cannot be read is no blank one: FAILED_PRECONDITION", async () => {
    // A bad sector made of what every kernel has: the pool's device ends before the block that holds the image's zeros.
    const volume = await csi.create("unreadable");
    const image = csi.image(volume.volume_id);
    const { publish_context } = await csi.controllerPublish(volume.volume_id);
    writeAt(image, 0, Buffer.alloc(MIB));
    tool("sync", "-f", sandbox.poolDir);
    const firstExtent = /^\s*0:\s+0\.\.\s*\d+:\s+(\d+)\.\./m.exec(tool("filefrag", "-v", image))?.[1];
    tool("dd", `of=${image}`, "oflag=nocache", "conv=notrunc,fdatasync", "count=0");
    const pool = join(sandbox.dir, "pool.img");
    const size = statSync(pool).size;
    truncateSync(pool, Number(firstExtent) * 4096);
    try {
      expect(await stage(volume, publish_context)).toEqual(refusal(/cannot be read/));
    } finally {
      truncateSync(pool, size);
    }
  });

  it("a volume that was handed out raw is never formatted, even when it still reads as blank", async () => {
    const volume = await csi.create("raw", { volume_capabilities: [block(), mount()] });
    await csi.attach(volume, block());
    await csi.detach(volume.volume_id);
    expect(await stage(volume)).toEqual(refusal(/never formatted over/));
    nothingAttached();
  });

  it("its format record is lost, its file system is not: mounted never, formatted never", async () => {
    const volume = await csi.create("lost-record");
    const image = csi.image(volume.volume_id);
    writeFileSync(join(await csi.attach(volume), "data"), "kept", { flush: true });
    await csi.detach(volume.volume_id);
    renameSync(join(dirname(image), "format.json"), join(dirname(image), "format.json.away"));
    expect(await stage(volume)).toEqual(refusal(/no format record and holds ext4/));
    renameSync(join(dirname(image), "format.json.away"), join(dirname(image), "format.json"));
    expect(readFileSync(join(await csi.attach(volume), "data"), "utf8")).toBe("kept");
    await csi.detach(volume.volume_id);
  });
});

describe("a swapped image", () => {
  let volume: Made;
  let other: Made;
  let context: Record<string, string> = {};

  beforeEach(async () => {
    volume = await csi.create("mine");
    other = await csi.create("other");
    writeFileSync(join(await csi.attach(other), "data"), "the other's", { flush: true });
    await csi.detach(other.volume_id);
    writeFileSync(join(await csi.attach(volume), "data"), "mine", { flush: true });
    context = (await csi.controllerPublish(volume.volume_id)).publish_context ?? {};
  });

  /** Another volume's image takes the place of this one's, as a new file of the same name. */
  function swap(): void {
    const image = csi.image(volume.volume_id);
    renameSync(image, `${image}.away`);
    copyFileSync(csi.image(other.volume_id), image);
  }
  function swapBack(): void {
    const image = csi.image(volume.volume_id);
    rmSync(image);
    renameSync(`${image}.away`, image);
  }

  it("at stage: FAILED_PRECONDITION, and the other's data is neither mounted nor changed", async () => {
    await csi.unstage(volume.volume_id);
    swap();
    const sum = tool("sha256sum", csi.image(volume.volume_id));
    expect(await stage(volume, context)).toEqual(refusal(/not the one that was published/));
    expect(tool("sha256sum", csi.image(volume.volume_id))).toBe(sum);
    nothingAttached();
    swapBack();
    await csi.stage(volume, context);
    expect(readFileSync(join(csi.staging(volume.volume_id), "data"), "utf8")).toBe("mine");
  });

  it("at publish: FAILED_PRECONDITION, and no target is made", async () => {
    swap();
    const failure = await failureOf(csi.publish(volume, { publish_context: context }));
    expect(failure).toEqual(refusal(/not the one that was published/));
    expect(mountsUnder(join(sandbox.dir, "pods"))).toEqual([]);
    swapBack();
    await csi.publish(volume, { publish_context: context });
    expect(readFileSync(join(csi.target(volume.volume_id), "data"), "utf8")).toBe("mine");
  });

  it("at expand: FAILED_PRECONDITION, and neither file system grows", async () => {
    await csi.expand(volume.volume_id, 64 * MIB);
    swap();
    truncateSync(csi.image(volume.volume_id), 64 * MIB);
    const sum = tool("sha256sum", csi.image(volume.volume_id));
    const path = csi.staging(volume.volume_id);
    const expand = server.client.call("Node", "NodeExpandVolume", { volume_id: volume.volume_id, volume_path: path });
    expect((await failureOf(expand)).code).toBe("FAILED_PRECONDITION");
    expect(tool("sha256sum", csi.image(volume.volume_id))).toBe(sum);
    expect((await csi.stats(volume.volume_id)).volume_condition).toEqual({
      abnormal: true,
      message: expect.stringMatching(/replaced/) as string,
    });
  });

  it("at unstage: the device of the image that was staged goes, and the other's stays as it is", async () => {
    await csi.attach(other);
    swap();
    await csi.unstage(volume.volume_id);
    // The pool's own device and the other volume's.
    expect(loopsUnder(sandbox.dir)).toHaveLength(2);
    expect(mountsUnder(sandbox.dir)).toEqual([sandbox.poolDir, csi.staging(other.volume_id)]);
    expect(readFileSync(join(csi.staging(other.volume_id), "data"), "utf8")).toBe("the other's");
  });

  it("a publish context of another volume: FAILED_PRECONDITION", async () => {
    await csi.unstage(volume.volume_id);
    const others = (await csi.controllerPublish(other.volume_id)).publish_context ?? {};
    expect((await stage(volume, others)).code).toBe("FAILED_PRECONDITION");
    nothingAttached();
  });

  it("something else mounted at the staging path is never taken for the volume", async () => {
    await csi.attach(other);
    const failure = await failureOf(csi.stage(volume, context, mount(), csi.staging(other.volume_id)));
    expect(failure).toEqual(refusal(/something else mounted/));
    await csi.unstage(volume.volume_id, csi.staging(other.volume_id));
    expect(mountsUnder(sandbox.dir)).toContain(csi.staging(other.volume_id));
  });
});
