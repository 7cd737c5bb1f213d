import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  canonical,
  chooseSize,
  defaultKind,
  parseCapabilities,
  parseCapability,
  parseRange,
  requireId,
  requireName,
  unsupported,
} from "../../controller/validation.js";
import type { VolumeCapability__Output } from "../../proto/gen/csi/v1/VolumeCapability.js";
import type { AccessMode, Capability, FsType } from "../../src/model/volume.js";

const MIB = 1024n ** 2n;
const GIB = 1024n ** 3n;
const MAXIMUM = 16n * 1024n * GIB;

const refusal = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return `${code}: ${message}`;
  }
  return "taken";
};
const mount = (mode: AccessMode, fsType = ""): Capability => ({
  access: { type: "mount", fsType, mountFlags: [], volumeMountGroup: "" },
  mode,
});
const block = (mode: AccessMode): Capability => ({ access: { type: "block" }, mode });
const range = (requiredBytes: bigint, limitBytes = 0n) => ({ requiredBytes, limitBytes });
const MINIMUM: [FsType | "", bigint][] = [
  ["", MIB],
  ["ext4", 16n * MIB],
  ["btrfs", 128n * MIB],
  ["xfs", 300n * MIB],
];

describe("requireName", () => {
  it.each(["a", "Ünïcödé 名前 🚀", "n".repeat(128), "é".repeat(64), "tab\tline\n\r", "../../etc", " "])(
    "%j is a name",
    (name) => expect(requireName("name", name)).toBe(name),
  );

  it.each([
    ["", "invalid-argument: name is required"],
    ["n".repeat(129), "invalid-argument: name has 129 bytes; at most 128 are allowed"],
    ["é".repeat(65), "invalid-argument: name has 130 bytes; at most 128 are allowed"],
  ])("%j: %s", (name, expected) => expect(refusal(() => requireName("name", name))).toBe(expected));

  it("each code point that the specification bans is refused, and its neighbours are not", () => {
    const banned = (code: number) =>
      code <= 0x08 ||
      (code >= 0x0b && code <= 0x0c) ||
      (code >= 0x0e && code <= 0x1f) ||
      (code >= 0x7f && code <= 0x9f);
    for (let code = 0; code < 0x200; code++) {
      const name = `a${String.fromCharCode(code)}b`;
      expect([code, refusal(() => requireName("name", name))]).toEqual([
        code,
        banned(code) ? "invalid-argument: name holds a control character" : "taken",
      ]);
    }
  });
});

describe("requireId", () => {
  it("only an empty id is invalid, however odd it is", () => {
    for (const id of ["x", "../..", "\u0000", "n".repeat(5000)]) expect(requireId("volume_id", id)).toBe(id);
    expect(refusal(() => requireId("volume_id", ""))).toBe("invalid-argument: volume_id is required");
  });
});

describe("parseRange", () => {
  const parse = (required_bytes: string, limit_bytes: string) => parseRange({ required_bytes, limit_bytes });

  it("none is no wish and no limit; int64's largest is exact", () => {
    expect(parseRange(null)).toEqual(range(0n, 0n));
    expect(parse("9223372036854775807", "0")).toEqual(range(2n ** 63n - 1n));
    expect(parse("5", "5")).toEqual(range(5n, 5n));
  });

  it.each([
    ["-1", "0", /^invalid-argument: capacity_range\.required_bytes is negative: -1$/],
    ["0", "-9223372036854775808", /^invalid-argument: capacity_range\.limit_bytes is negative/],
    ["6", "5", /^invalid-argument: capacity_range\.limit_bytes \(5\) is below required_bytes \(6\)$/],
  ])("required %s, limit %s is refused", (required, limit, expected) => {
    expect(refusal(() => parse(required, limit))).toMatch(expected);
  });
});

describe("chooseSize", () => {
  it("nothing asked: 1 GiB, the source's size, or what the limit lets", () => {
    expect(chooseSize(range(0n), "ext4", 0n, MAXIMUM)).toBe(GIB);
    expect(chooseSize(range(0n), "ext4", 3n * GIB, MAXIMUM)).toBe(3n * GIB);
    expect(chooseSize(range(0n, 20n * MIB + 5n), "ext4", 0n, MAXIMUM)).toBe(20n * MIB);
    expect(chooseSize(range(0n, 2n * GIB), "ext4", 0n, MAXIMUM)).toBe(GIB);
  });

  it("what was asked goes up to a whole sector of 4 KiB", () => {
    for (const [asked, size] of [
      [GIB, GIB],
      [GIB + 1n, GIB + 4096n],
      [GIB + 4096n, GIB + 4096n],
    ] as const)
      expect(chooseSize(range(asked), "ext4", 0n, MAXIMUM)).toBe(size);
  });

  it.each(MINIMUM)("%j: at least %s bytes, which a lower limit refuses", (fsType, minimum) => {
    expect(chooseSize(range(1n), fsType, 0n, MAXIMUM)).toBe(minimum);
    expect(chooseSize(range(1n, minimum), fsType, 0n, MAXIMUM)).toBe(minimum);
    expect(chooseSize(range(0n, minimum), fsType, 0n, MAXIMUM)).toBe(minimum);
    expect(refusal(() => chooseSize(range(1n, minimum - 1n), fsType, 0n, MAXIMUM))).toMatch(
      /^out-of-range: .*limit_bytes/,
    );
    expect(refusal(() => chooseSize(range(0n, minimum - 1n), fsType, 0n, MAXIMUM))).toMatch(
      /^out-of-range: .*limit_bytes/,
    );
  });

  it("below the source, or a limit below it: out-of-range; above it: grown", () => {
    expect(refusal(() => chooseSize(range(GIB - 1n), "ext4", GIB, MAXIMUM))).toMatch(/^out-of-range: .*source's size/);
    expect(refusal(() => chooseSize(range(0n, GIB - 1n), "ext4", GIB, MAXIMUM))).toMatch(/^out-of-range: .*limit/);
    expect(chooseSize(range(GIB), "ext4", GIB, MAXIMUM)).toBe(GIB);
    expect(chooseSize(range(2n * GIB), "ext4", GIB, MAXIMUM)).toBe(2n * GIB);
  });

  it("the largest volume is allowed, one more sector is not", () => {
    expect(chooseSize(range(MAXIMUM), "xfs", 0n, MAXIMUM)).toBe(MAXIMUM);
    expect(refusal(() => chooseSize(range(MAXIMUM + 1n), "xfs", 0n, MAXIMUM))).toMatch(/^out-of-range: .*largest/);
  });

  it("any answer keeps every bound", () => {
    const bytes = fc.oneof(fc.constant(0n), fc.bigInt(0n, 2n * GIB), fc.bigInt(0n, 2n * MAXIMUM));
    fc.assert(
      fc.property(fc.constantFrom(...MINIMUM), bytes, bytes, bytes, ([fsType, minimum], required, limit, from) => {
        fc.pre(limit === 0n || required <= limit);
        // A source is a volume of this engine, so of whole sectors.
        const source = from - (from % 4096n);
        let size: bigint;
        try {
          size = chooseSize(range(required, limit), fsType, source, MAXIMUM);
        } catch (error) {
          expect((error as { code: string }).code).toBe("out-of-range");
          return;
        }
        expect(size % 4096n).toBe(0n);
        expect(size >= required && size >= minimum && size >= source && size <= MAXIMUM).toBe(true);
        expect(limit === 0n || size <= limit).toBe(true);
      }),
    );
  });
});

const MODES: AccessMode[] = [
  "SINGLE_NODE_WRITER",
  "SINGLE_NODE_READER_ONLY",
  "MULTI_NODE_READER_ONLY",
  "MULTI_NODE_SINGLE_WRITER",
  "MULTI_NODE_MULTI_WRITER",
  "SINGLE_NODE_SINGLE_WRITER",
  "SINGLE_NODE_MULTI_WRITER",
];
const MANY_WRITE: AccessMode[] = ["MULTI_NODE_SINGLE_WRITER", "MULTI_NODE_MULTI_WRITER"];

describe("unsupported", () => {
  it.each(MODES)("%s: mount and block access to volumes of both kinds", (mode) => {
    const many = MANY_WRITE.includes(mode);
    expect(unsupported(mount(mode), "shared")).toBeNull();
    expect(unsupported(block(mode), "shared")).toMatch(/a shared volume is a file system/);
    for (const capability of [mount(mode), block(mode)]) {
      if (many) expect(unsupported(capability, "block")).toContain(mode);
      else expect(unsupported(capability, "block")).toBeNull();
    }
  });

  it("a file system that is not made here is named, with those that are", () => {
    for (const kind of ["block", "shared"] as const) {
      for (const fsType of ["", "ext4", "xfs", "btrfs"])
        expect(unsupported(mount("SINGLE_NODE_WRITER", fsType), kind)).toBeNull();
      expect(unsupported(mount("SINGLE_NODE_WRITER", "ntfs"), kind)).toBe(
        'fs_type "ntfs" is not supported: use ext4, xfs, btrfs',
      );
    }
  });
});

describe("defaultKind", () => {
  it("many nodes and a mount: shared; anything else: block", () => {
    for (const mode of MODES) {
      expect([mode, defaultKind([mount(mode)])]).toEqual([mode, mode.startsWith("MULTI_NODE") ? "shared" : "block"]);
      expect(defaultKind([block(mode)])).toBe("block");
    }
    expect(defaultKind([mount("SINGLE_NODE_WRITER"), mount("MULTI_NODE_MULTI_WRITER")])).toBe("shared");
  });
});

describe("parseCapability", () => {
  const message = (change: Partial<VolumeCapability__Output>): VolumeCapability__Output => ({
    mount: { fs_type: "xfs", mount_flags: ["noatime"], volume_mount_group: "7" },
    block: null,
    access_mode: { mode: "SINGLE_NODE_WRITER" },
    ...change,
  });

  it("keeps what a mount says, and block as block", () => {
    expect(parseCapability("c", message({}))).toEqual({
      access: { type: "mount", fsType: "xfs", mountFlags: ["noatime"], volumeMountGroup: "7" },
      mode: "SINGLE_NODE_WRITER",
    });
    expect(parseCapability("c", message({ mount: null, block: {} }))).toEqual(block("SINGLE_NODE_WRITER"));
  });

  it.each([
    ["none", null, "c is required"],
    ["no mode", message({ access_mode: null }), "c.access_mode.mode is required"],
    ["mode UNKNOWN", message({ access_mode: { mode: "UNKNOWN" } }), "c.access_mode.mode is required"],
    ["a later version's mode", message({ access_mode: { mode: 99 as never } }), "c.access_mode.mode is required"],
    ["a name of Object's", message({ access_mode: { mode: "toString" as never } }), "c.access_mode.mode is required"],
    ["no access type", message({ mount: null }), "c needs an access type"],
  ])("%s is refused, naming the field", (_what, capability, expected) => {
    expect(refusal(() => parseCapability("c", capability))).toContain(`invalid-argument: ${expected}`);
  });

  it("a list must not be empty, and names the one that is wrong", () => {
    expect(refusal(() => parseCapabilities([]))).toMatch(/^invalid-argument: volume_capabilities is required/);
    expect(refusal(() => parseCapabilities([message({}), message({ mount: null })]))).toContain(
      "volume_capabilities[1] needs",
    );
  });
});

describe("canonical", () => {
  it("differs by mode, access type and file system", () => {
    const all = MODES.flatMap((mode) => [block(mode), mount(mode), mount(mode, "ext4"), mount(mode, "xfs")]);
    expect(new Set(all.map(canonical)).size).toBe(all.length);
    expect(canonical(mount("SINGLE_NODE_WRITER", "xfs"))).toBe(canonical(mount("SINGLE_NODE_WRITER", "xfs")));
  });
});
