import { expect, it } from "vitest";
import { bucketIdOf } from "../../src/engines/local/objects/keys.js";
import type { ListedObjects } from "../../src/engines/local/objects/listed-objects.js";
import { listObjects } from "../../src/engines/local/objects/listing.js";
import { openTables } from "../../src/engines/local/objects/tables.js";
import type { Bucket } from "../../src/model/bucket.js";
import { makeBucket, makeEngineWorld, put } from "./objects-engine-world.js";

it("rule 23: a delimiter skips a whole prefix with one seek, however many keys lie under it", async () => {
  const world = await makeEngineWorld();
  const bucket = await makeBucket(world.engine);
  const under = (folder: string, count: number) => Array.from({ length: count }, (_unused, i) => `${folder}/${i}`);
  const keys = [...under("a", 300), ...under("b", 300), "c"];
  await Promise.all(keys.map((key) => put(world.engine, bucket, key)));
  const tables = openTables(world.dir, { readOnly: true });
  const [first] = [...tables.objects.getKeys({ limit: 1 })];
  const known = { id: bucketIdOf(first as Buffer), bucket: { ownerId: "owner" } as Bucket };
  let rows = 0;
  const listed = {
    *range(...args: Parameters<ListedObjects["range"]>) {
      for (const row of tables.listed.range(...args)) {
        rows += 1;
        yield row;
      }
    },
  } as unknown as ListedObjects;
  const request = { bucket, prefix: "", delimiter: "/", after: "", limit: 1000 };
  const { items } = listObjects({ ...tables, listed }, known, request);
  expect(items.map((item) => ("prefix" in item ? item.prefix : item.entry.key))).toEqual(["a/", "b/", "c"]);
  expect(rows).toBe(3);
  await tables.root.close();
  await world.close();
});
