import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Seen } from "../../objectstore/lifecycle/evaluate.js";
import { VersionWalk } from "../../objectstore/lifecycle/walk.js";
import type { VersionSummary } from "../../src/model/object.js";

const version = (key: string, lastModifiedMs: number, index: number): VersionSummary => ({
  ...{
    key,
    versionId: `v${index}`,
    isLatest: index === 0,
    deleteMarker: false,
    lastModifiedMs,
    etag: "",
    sizeBytes: 1,
  },
  ...{ storageClass: "STANDARD", ownerId: "o", checksum: null, generation: `${key}${index}` },
});

describe("a walk through versions", () => {
  it("any keys with any number of versions: each comes once, with what its neighbours say of it", () => {
    const keys = fc.uniqueArray(fc.string({ maxLength: 3 }), { maxLength: 8 });
    const counts = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(keys, counts, (names, howMany) => {
        const listed = names.sort().flatMap((key, at) => {
          const count = howMany[at] ?? 1;
          return Array.from({ length: count }, (_, index) => version(key, 1000 - index * 10, index));
        });
        const walk = new VersionWalk();
        const settled = [...listed.map((one) => walk.push(one)), walk.end()].filter((one) => one !== undefined);
        expect(settled.map((one) => one.version)).toEqual(listed);
        for (const { version: one, seen } of settled) {
          const index = Number(one.versionId.slice(1));
          const count = listed.filter(({ key }) => key === one.key).length;
          const expected: Partial<Seen> = {
            noncurrentSinceMs: index === 0 ? undefined : 1000 - (index - 1) * 10,
            newerNoncurrent: Math.max(0, index - 1),
            alone: count === 1,
          };
          expect(seen).toMatchObject(expected);
        }
      }),
    );
  });

  it("nothing: nothing", () => {
    expect(new VersionWalk().end()).toBeUndefined();
  });
});
