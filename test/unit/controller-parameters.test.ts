import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkMutable as checkMutableOf, parseParameters as parseParametersOf } from "../../controller/parameters.js";
import { LOCAL_KEYS } from "../../src/engines/local/index.js";

type Pairs = Record<string, string>;
const parseParameters = (parameters: Pairs, mutable: Pairs) => parseParametersOf(parameters, mutable, LOCAL_KEYS);
const checkMutable = (mutable: Pairs) => checkMutableOf(mutable, LOCAL_KEYS);
const FSTYPE = "csi.storage.k8s.io/fstype";
const [MINUTE, HOUR, DAY] = [60_000, 3_600_000, 86_400_000];

const refusal = (call: () => unknown): string => {
  try {
    call();
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return `${code}: ${message}`;
  }
  return "taken";
};

describe("parseParameters", () => {
  it("nothing said: thin, no interval, kind and file system open; an empty value says nothing", () => {
    const open = { kind: null, fsType: null, mkfsOptions: [], provisioning: "thin", reclaimSpaceMs: 0 };
    expect(parseParameters({}, {})).toEqual(open);
    expect(
      parseParameters({ kind: "", [FSTYPE]: "", mkfsOptions: "", provisioning: "", reclaimSpace: "" }, {}),
    ).toEqual(open);
  });

  it("each key that it knows", () => {
    expect(
      parseParameters(
        {
          kind: "shared",
          [FSTYPE]: "xfs",
          mkfsOptions: " -m  reflink=0\t-L data ",
          provisioning: "thick",
          reclaimSpace: "7d",
        },
        {},
      ),
    ).toEqual({
      kind: "shared",
      fsType: "xfs",
      mkfsOptions: ["-m", "reflink=0", "-L", "data"],
      provisioning: "thick",
      reclaimSpaceMs: 7 * DAY,
    });
  });

  it("Kubernetes' own keys are let be", () => {
    const keys = ["pv/name", "pvc/name", "pvc/namespace", "provisioner-secret-name"];
    for (const key of keys)
      expect(refusal(() => parseParameters({ [`csi.storage.k8s.io/${key}`]: "x" }, {}))).toBe("taken");
  });

  it.each([
    ["csi.storage.k8s.io/fsTyp", FSTYPE],
    ["csi.storage.k8s.io/pvc/nam", "csi.storage.k8s.io/pvc/name"],
    ["knid", "kind"],
    ["Kind", "kind"],
    ["fstype", FSTYPE],
    ["fsType", FSTYPE],
    ["mkfsOption", "mkfsOptions"],
    ["mkfs_options", "mkfsOptions"],
    ["provisoning", "provisioning"],
    ["reclaimspace", "reclaimSpace"],
    ["csi.storage.k8s.i/fstype", FSTYPE],
  ])("the unknown key %s: the nearest known one is %s", (key, known) => {
    expect(refusal(() => parseParameters({ [key]: "x" }, {}))).toBe(
      `invalid-argument: parameters: unknown key "${key}"; did you mean "${known}"?`,
    );
  });

  it.each([
    ["kind", "Block", /block, shared/],
    [FSTYPE, "ext3", /ext4, xfs, btrfs/],
    ["provisioning", "sparse", /thin, thick/],
    ["reclaimSpace", "daily", /30m, 24h, 7d or never/],
  ])("%s: %j is refused, naming key, value and what is allowed", (key, value, allowed) => {
    const message = refusal(() => parseParameters({ [key]: value }, {}));
    expect(message).toMatch(/^invalid-argument: /);
    expect(message).toContain(key);
    expect(message).toContain(JSON.stringify(value));
    expect(message).toMatch(allowed);
  });

  it("mutable parameters win, each with a bad value's key", () => {
    expect(parseParameters({ reclaimSpace: "1d" }, { reclaimSpace: "30m" }).reclaimSpaceMs).toBe(30 * MINUTE);
    expect(parseParameters({ reclaimSpace: "1d" }, { reclaimSpace: "never" }).reclaimSpaceMs).toBe(0);
    expect(refusal(() => parseParameters({}, { reclaimSpace: "1w" }))).toMatch(
      /^invalid-argument: mutable_parameters\.reclaimSpace: "1w"/,
    );
    expect(refusal(() => parseParameters({}, { kind: "block" }))).toBe(
      'invalid-argument: mutable_parameters: unknown key "kind"; only reclaimSpace can be modified',
    );
  });

  it("a bad value is refused even where a mutable one would win", () => {
    expect(refusal(() => parseParameters({ reclaimSpace: "soon" }, { reclaimSpace: "1d" }))).toMatch(
      /^invalid-argument: .*reclaimSpace: "soon"/,
    );
  });

  it("words between any white space are mkfs's options", () => {
    const word = fc.string({ minLength: 1, maxLength: 8 }).filter((text) => !/\s/.test(text));
    const space = fc.constantFrom(" ", "\t", "\n", "  \t ");
    fc.assert(
      fc.property(fc.array(word, { maxLength: 6 }), space, space, (words, between, around) => {
        const mkfsOptions = around + words.join(between) + around;
        expect(parseParameters({ mkfsOptions }, {}).mkfsOptions).toEqual(words);
      }),
    );
  });
});

describe("reclaimSpace", () => {
  const parse = (reclaimSpace: string) => parseParameters({ reclaimSpace }, {}).reclaimSpaceMs;

  it("any count of minutes, hours and days", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 99_999 }),
        fc.constantFrom(["m", MINUTE] as const, ["h", HOUR] as const, ["d", DAY] as const),
        (count, [unit, ms]) => parse(`${count}${unit}`) === count * ms,
      ),
    );
  });

  it.each(["0m", "01h", "1", "h", "1s", "1H", "-1h", "+1h", "1.5h", "1h30m", " 1h", "1h ", "100000d", "1e3h", "Never"])(
    "%j is no interval",
    (text) => expect(refusal(() => parse(text))).toMatch(/^invalid-argument: .*reclaimSpace: .* is not an interval/),
  );
});

describe("checkMutable", () => {
  it("one wrong key or value refuses all", () => {
    expect(refusal(() => checkMutable({}))).toBe("taken");
    expect(refusal(() => checkMutable({ reclaimSpace: "" }))).toBe("taken");
    expect(refusal(() => checkMutable({ reclaimSpace: "1d", provisioning: "thin" }))).toContain('"provisioning"');
    expect(refusal(() => checkMutable({ reclaimSpace: "x" }))).toContain("mutable_parameters.reclaimSpace");
    expect(refusal(() => checkMutable({ toString: "1d" }))).toContain('unknown key "toString"');
  });
});
