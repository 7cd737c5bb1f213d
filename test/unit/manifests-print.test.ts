import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { describeObject } from "../../src/cli/describe.js";
import { parseSelector } from "../../src/cli/object-flags.js";
import { printTable } from "../../src/cli/table.js";
import { showAge, showQuantity, tableOf } from "../../src/manifests/columns.js";
import { findKind, KINDS, parseTargets, qualifiedName } from "../../src/manifests/kinds.js";
import { mergeApplied } from "../../src/manifests/merge.js";
import { openObjectStore } from "../../src/manifests/object-store.js";
import type { ObjectMeta, PersistentVolumeClaim } from "../../src/manifests/objects.js";
import { parseManifestText, readManifests } from "../../src/manifests/read-manifests.js";
import { parseAllObjects } from "../../src/manifests/schema.js";
import { parseDurationMs } from "../../src/model/duration.js";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "granary-print-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const CLAIM =
  "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}";
function bound(): PersistentVolumeClaim {
  const [read] = parseAllObjects(parseManifestText("f", CLAIM), "default");
  const claim = mergeApplied(read as PersistentVolumeClaim, undefined).object as PersistentVolumeClaim;
  claim.spec.volumeName = "pvc-1";
  claim.status = {
    phase: "Bound",
    accessModes: ["ReadWriteOnce"],
    capacity: { storage: "1073741824" },
    conditions: [],
  };
  return claim;
}

describe("findKind", () => {
  it("every name of every kind, in any case and with its group", () => {
    for (const info of KINDS) {
      const names = [info.plural, info.singular, info.kind, ...info.short];
      const group = info.apiVersion.includes("/") ? `.${info.apiVersion.split("/")[0]}` : "";
      for (const name of [...names, ...names.map((n) => n.toUpperCase()), ...names.map((n) => `${n}${group}`)])
        expect(findKind(name)).toBe(info);
    }
    expect(findKind("volumesnapshots.v1.snapshot.storage.k8s.io").kind).toBe("VolumeSnapshot");
  });

  it("an unknown one: names the nearest; another group: names the right one", () => {
    expect(() => findKind("pcv")).toThrow('did you mean "pv');
    expect(() => findKind("volumesnapshot.apps")).toThrow("are of the group snapshot.storage.k8s.io");
    expect(() => findKind("__proto__")).toThrow("there is no kind");
  });

  it("no two kinds share a name", () => {
    const names = KINDS.flatMap((info) => [...new Set([info.plural, info.singular, ...info.short])]);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe("parseTargets", () => {
  const show = (...words: string[]) => parseTargets(words).map(({ info, name }) => `${info.kind}/${name ?? "*"}`);
  it("KIND, KIND NAME ..., KIND/NAME ..., KIND,KIND", () => {
    expect(show("pvc")).toEqual(["PersistentVolumeClaim/*"]);
    expect(show("pvc", "a", "b")).toEqual(["PersistentVolumeClaim/a", "PersistentVolumeClaim/b"]);
    expect(show("pvc/a", "pv/b")).toEqual(["PersistentVolumeClaim/a", "PersistentVolume/b"]);
    expect(show("pvc,pv")).toEqual(["PersistentVolumeClaim/*", "PersistentVolume/*"]);
  });
  it.each([[[]], [["pvc/"]], [["pvc/a/b"]], [["pvc/a", "b"]], [["pvc", "pv/b"]]])("%j: refused", (words) => {
    expect(() => parseTargets(words)).toThrow();
  });
});

describe("tables", () => {
  it("a claim: kubectl's columns; wide adds the volume mode, all namespaces the namespace", () => {
    const { titles, rows } = tableOf("PersistentVolumeClaim", [bound()], { wide: true, namespaces: true });
    expect(titles.join("|")).toBe(
      "NAMESPACE|NAME|STATUS|VOLUME|CAPACITY|ACCESS MODES|STORAGECLASS|VOLUMEATTRIBUTESCLASS|AGE|VOLUMEMODE",
    );
    expect(rows[0]?.slice(0, 8)).toEqual(["default", "data", "Bound", "pvc-1", "1Gi", "RWO", "", "<unset>"]);
    expect(tableOf("PersistentVolumeClaim", [], { wide: false, namespaces: false }).titles).not.toContain("VOLUMEMODE");
  });

  it("one that is being deleted: Terminating", () => {
    const claim = bound();
    claim.metadata.deletionTimestamp = new Date().toISOString();
    expect(tableOf("PersistentVolumeClaim", [claim], { wide: false, namespaces: false }).rows[0]?.[1]).toBe(
      "Terminating",
    );
  });

  it("columns are aligned, and nothing in a cell steers the terminal", () => {
    expect(printTable(["A", "BB"], [["long", "x\u001b[31m\ny"]])).toBe("A      BB\nlong   x\ufffd[31m y\n");
  });

  it.each([
    [0, "0s"],
    [119, "119s"],
    [120, "2m"],
    [200, "3m20s"],
    [720, "12m"],
    [3 * 3600, "3h"],
    [3 * 3600 + 300, "3h5m"],
    [20 * 3600, "20h"],
    [3 * 86400 + 3600, "3d1h"],
    [30 * 86400, "30d"],
    [-5, "0s"],
  ])("%i seconds ago is %s", (seconds, text) => {
    expect(showAge("2026-01-01T00:00:00Z", Date.parse("2026-01-01T00:00:00Z") + seconds * 1000)).toBe(text);
  });

  it("a capacity: the largest unit that keeps it whole", () => {
    expect(["1073741824", "1536", "1", "5Gi", undefined].map(showQuantity)).toEqual(["1Gi", "1536", "1", "5Gi", ""]);
  });
});

describe("describe", () => {
  it("tells conditions, and events with how often and since when", async () => {
    const store = await openObjectStore(dir, { lock: true, timeoutMs: 0 });
    const claim = bound();
    claim.status.conditions = [
      {
        type: "Resizing",
        status: "True",
        reason: "Growing",
        message: "to 2Gi",
        lastTransitionTime: "2026-01-01T00:00:00Z",
      },
    ];
    await store.put(claim);
    for (let i = 0; i < 3; i++) await store.event(claim, "Warning", "ProvisioningFailed", "no room");
    const text = describeObject(claim, store);
    await store.close();
    expect(text).toMatch(/^Name: +data\nNamespace: +default\n/);
    expect(text).toMatch(/Conditions:\n.*\n {2}Resizing +True +Growing +2026-01-01T00:00:00Z +to 2Gi\n/);
    expect(text).toMatch(/Events:\n.*\n {2}Warning +ProvisioningFailed +\d+s \(x3 over \d+s\) +no room\n/);
  });
});

describe("flags", () => {
  it.each([
    ["a=b,c!=d", true],
    ["a==b", true],
    ["a", true],
    ["!z", true],
    ["", true],
    ["a!=b", false],
    ["!a", false],
    ["z", false],
    ["constructor", false],
  ])("selector %j of {a: b}: %s", (selector, expected) => {
    expect(parseSelector(selector)({ labels: { a: "b" } } as unknown as ObjectMeta)).toBe(expected);
  });
  it("a selector that is none, a duration that is none: refused", () => {
    for (const text of ["a=b=c", "a in (b)", "!a=b", "="]) expect(() => parseSelector(text)).toThrow("--selector");
    for (const text of ["", "5x", "-1s", "1 s"]) expect(() => parseDurationMs("--timeout", text)).toThrow("--timeout");
    expect(["500ms", "30", "1.5m", "1h"].map((text) => parseDurationMs("t", text))).toEqual([
      500, 30_000, 90_000, 3_600_000,
    ]);
  });
});

async function* nothing(): AsyncGenerator<string> {}
async function* typed(): AsyncGenerator<string> {
  yield CLAIM;
}

describe("readManifests", () => {
  const files = async (path: string, recursive = false) =>
    (await readManifests([path], { recursive, stdin: nothing() })).map(({ place }) => place.file.slice(dir.length + 1));

  it("a folder: yaml, yml and json in the order of their names, subfolders with -R only", async () => {
    mkdirSync(join(dir, "b-sub"));
    for (const name of ["c.json", "a.yaml", "b.yml", "readme.md", "b-sub/x.yaml"])
      writeFileSync(join(dir, name), CLAIM);
    expect(await files(dir)).toEqual(["a.yaml", "b.yml", "c.json"]);
    expect(await files(dir, true)).toEqual(["a.yaml", "b-sub/x.yaml", "b.yml", "c.json"]);
  });

  it("- is stdin", async () => {
    const [found] = await readManifests(["-"], { recursive: false, stdin: typed() });
    expect(found?.place).toEqual({ file: "stdin", document: 1, line: 1 });
  });

  it("no such file, an empty folder, bytes that are no text, 17 MiB: errors that name the file", async () => {
    await expect(files(join(dir, "none.yaml"))).rejects.toThrow(/none\.yaml: there is no such file/);
    await expect(files(dir)).rejects.toThrow("no objects in");
    writeFileSync(join(dir, "binary.yaml"), Buffer.from([0xff, 0xfe, 0x00]));
    await expect(files(join(dir, "binary.yaml"))).rejects.toThrow("binary.yaml: is not UTF-8");
    writeFileSync(join(dir, "large.yaml"), Buffer.alloc(17 * 1024 * 1024, "#"));
    await expect(files(join(dir, "large.yaml"))).rejects.toThrow("large.yaml: larger than 16 MiB");
  });

  it("names in messages: kubectl's", () => {
    expect(qualifiedName(bound())).toBe("persistentvolumeclaim/data");
  });
});
