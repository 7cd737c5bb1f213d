import { describe, expect, it } from "vitest";
import { difference } from "../../src/engines/migrate-bucket/difference.js";
import type { VersionSummary } from "../../src/model/object.js";
import { describeMigration } from "./migrate-bucket-suite.js";
import { makeEngineWorld } from "./objects-engine-world.js";

describeMigration("one embedded store to another", async () => {
  const [source, target] = await Promise.all([makeEngineWorld(), makeEngineWorld()]);
  return {
    from: source.engine,
    to: target.engine,
    close: async () => void (await Promise.all([source.close(), target.close()])),
  };
});

let sequence = 0;
/** A version as listings tell it: its ETag, `null:` before it for the null version, "" for a delete marker. */
function version(text: string): VersionSummary {
  const [etag = "", isNull] = text.startsWith("null:") ? [text.slice(5), true] : [text, false];
  return {
    ...{ key: "k", versionId: isNull ? "null" : `id-${++sequence}`, isLatest: false, deleteMarker: etag === "" },
    ...{ lastModifiedMs: 0, etag, sizeBytes: 1, storageClass: "STANDARD", ownerId: "o", checksum: null },
    generation: String(sequence),
  };
}

describe("difference", () => {
  it.each([
    { source: ["a", "b"], target: [], remove: [], add: ["newer a", "newer b"] },
    { source: ["a", "b"], target: ["a"], remove: [], add: ["newer b"] },
    { source: ["a", "b"], target: ["a", "b"], remove: [], add: [] },
    { source: ["a", "null:n", "b"], target: [], remove: [], add: ["older a", "null n", "newer b"] },
    { source: ["null:n", ""], target: ["null:n"], remove: [], add: ["newer "] },
    { source: ["null:new"], target: ["null:old"], remove: ["old"], add: ["null new"] },
    { source: ["b"], target: ["a", "b", "c"], remove: ["c", "b", "a"], add: ["newer b"] },
    { source: [], target: ["a", ""], remove: ["", "a"], add: [] },
    { source: ["n"], target: ["null:n"], remove: ["n"], add: ["newer n"] },
  ])("$source onto $target: remove $remove, add $add", ({ source, target, remove, add }) => {
    const found = difference(source.map(version), target.map(version));
    expect(found.remove.map(({ etag }) => etag)).toEqual(remove);
    expect(found.add.map((one) => `${one.stage} ${one.version.etag}`)).toEqual(add);
  });
});
