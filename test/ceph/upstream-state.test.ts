import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { UpstreamState } from "../../src/engines/s3/state/state.js";
import { asking, newBucket, UpstreamWorld } from "./upstream-world.js";

let world: UpstreamWorld;
let [one, other] = [] as unknown as [UpstreamState, UpstreamState];

beforeAll(async () => {
  world = new UpstreamWorld();
  one = await world.gateway(true);
  other = await world.gateway();
});
afterAll(() => world.remove());

const name = () => `b${randomBytes(4).toString("hex")}`;
const settled = async (work: Promise<unknown>[]) => (await Promise.allSettled(work)).map(({ status }) => status);

describe("documents on the real upstream", () => {
  it("of many that make one, one does; of many that change one from the same state, one does", async () => {
    const key = `test/${name()}`;
    const swaps = (expected: string) =>
      Promise.all(
        Array.from({ length: 16 }, (_, i) =>
          (i % 2 ? one : other).documents.swap(asking(), key, expected, `{"n":"${randomBytes(8).toString("hex")}"}`),
        ),
      );
    const made = (await swaps("")).filter((etag) => etag !== undefined);
    expect(made).toHaveLength(1);
    const changed = (await swaps(made[0] ?? "")).filter((etag) => etag !== undefined);
    expect(changed).toHaveLength(1);
    expect((await one.documents.readAll(asking(), key)).etag).toBe(changed[0]);
    await one.documents.remove(asking(), key);
  });

  it("changes of two gateways at once all happen", async () => {
    const key = `test/${name()}`;
    const add = (state: UpstreamState, word: string) =>
      state.documents.change(asking(), key, ({ text }) => {
        const words = text === "" ? [] : (JSON.parse(text) as string[]);
        return { text: JSON.stringify([...words, word]), result: words.length };
      });
    const words = Array.from({ length: 24 }, (_, i) => `w${i}`);
    await Promise.all(words.map((word, i) => add(i % 2 ? one : other, word)));
    const { text } = await one.documents.readAll(asking(), key);
    expect((JSON.parse(text) as string[]).sort()).toEqual(words.sort());
    await one.documents.remove(asking(), key);
  });
});

describe("users of many gateways", () => {
  const user = (n: string, key = `AK${n}`) => ({
    ...{
      name: n,
      id: `id-${n}`,
      displayName: n,
      email: `${n}@example.com`,
      disabled: false,
      createdMs: 1,
      policies: [],
    },
    keys: [{ id: key, secret: "x".repeat(40), createdMs: 1, disabled: false }],
  });

  it("a change is seen by another gateway within a second, and at once when it asks", async () => {
    const n = name();
    await one.users.create(asking(), user(n));
    expect(one.users.byAccessKey(`AK${n}`)?.user.name).toBe(n);
    await expect.poll(() => other.users.byAccessKey(`AK${n}`)?.user.name, { timeout: 1_000, interval: 20 }).toBe(n);
    await one.users.change(asking(), n, { disabled: true });
    await other.users.fresh(asking());
    expect(other.users.byName(n)?.disabled).toBe(true);
    await other.users.delete(asking(), n);
    await expect.poll(() => one.users.byAccessKey(`AK${n}`), { timeout: 1_000, interval: 20 }).toBe(undefined);
  });

  it("a name, an id, an e-mail and an access key are one user's; a former id is nobody's", async () => {
    const n = name();
    const same = await settled(
      Array.from({ length: 6 }, (_, i) => (i % 2 ? one : other).users.create(asking(), user(n))),
    );
    expect(same.filter((status) => status === "fulfilled")).toHaveLength(1);
    const another = { ...user(name()), id: "other" };
    await expect(other.users.create(asking(), { ...another, email: `${n}@example.com` })).rejects.toThrow("e-mail");
    await expect(other.users.create(asking(), { ...another, keys: user(n).keys })).rejects.toThrow("access key");
    await one.users.delete(asking(), n);
    await expect(other.users.create(asking(), { ...another, id: `id-${n}` })).rejects.toThrow("id");
  });

  it("edits of one user from two gateways at once are all there", async () => {
    const n = name();
    await one.users.create(asking(), user(n));
    const names = Array.from({ length: 10 }, (_, i) => `p${i}`);
    await Promise.all(
      names.map((policy, i) =>
        (i % 2 ? one : other).users.change(asking(), n, { attach: { name: policy, document: "{}" } }),
      ),
    );
    await one.users.fresh(asking());
    expect(one.users.byName(n)?.policies.map((policy) => policy.name)).toEqual(names);
    await one.buckets.create(asking(), newBucket(`own-${n}`, { ownerId: `id-${n}` }));
    await expect(other.users.delete(asking(), n)).rejects.toThrow(`own-${n}`);
    await other.buckets.delete(asking(), `own-${n}`);
    await one.users.delete(asking(), n);
  });
});

describe("buckets of many gateways", () => {
  it("of many that create one, one does; the other gateway sees it, its changes, and that it is gone", async () => {
    const b = name();
    const made = await settled(
      Array.from({ length: 8 }, (_, i) => (i % 2 ? one : other).buckets.create(asking(), newBucket(b))),
    );
    expect(made.filter((status) => status === "fulfilled")).toHaveLength(1);
    expect((await other.cache.bucket(asking(), b))?.name).toBe(b);
    const kinds = [
      "policy",
      "cors",
      "lifecycle",
      "tagging",
      "acl",
      "ownership",
      "publicAccessBlock",
      "objectLock",
    ] as const;
    await Promise.all(
      kinds.map((kind, i) => (i % 2 ? one : other).buckets.change(asking(), b, { config: { [kind]: `"${kind}"` } })),
    );
    const see = async () => Object.keys((await other.cache.bucket(asking(), b))?.config ?? {}).sort();
    await expect.poll(see, { timeout: 1_000, interval: 20 }).toEqual([...kinds].sort());
    await one.buckets.delete(asking(), b);
    await expect.poll(() => other.cache.bucket(asking(), b), { timeout: 1_000, interval: 20 }).toBe(undefined);
    await expect(other.buckets.delete(asking(), b)).rejects.toThrow("is not there");
    await other.buckets.create(asking(), newBucket(b));
    await one.buckets.delete(asking(), b);
  });

  it("a change that was decided on an older record is refused", async () => {
    const b = name();
    const { revision } = await one.buckets.create(asking(), newBucket(b));
    await other.buckets.change(asking(), b, { quotaBytes: 5 }, revision);
    await expect(one.buckets.change(asking(), b, { quotaBytes: 6 }, revision)).rejects.toMatchObject({
      reason: "conflict",
    });
    await one.buckets.delete(asking(), b);
  });

  it("versions are kept upstream when the record says so", async () => {
    const b = name();
    await one.buckets.create(asking(), newBucket(b));
    await one.buckets.change(asking(), b, { versioning: "enabled" });
    await world.put(b, "k", Buffer.from("1"));
    await world.put(b, "k", Buffer.from("22"));
    expect(await one.upstream.usage(asking(), { name: b, versioning: "enabled" })).toEqual({
      objects: 2,
      bytes: 3,
      deleteMarkers: 0,
      uploads: 0,
    });
    await expect(one.buckets.delete(asking(), b)).rejects.toMatchObject({ reason: "bucket-not-empty" });
    expect((await other.cache.bucket(asking(), b))?.versioning).toBe("enabled");
  });

  it("listed in name order, by prefix, owner and page", async () => {
    const p = name();
    const names = ["a", "b", "c", "d"].map((end) => `${p}-${end}`);
    await Promise.all(
      names.map((bucket, i) => one.buckets.create(asking(), newBucket(bucket, { ownerId: i === 1 ? "u" : "root" }))),
    );
    const list = async (more: { after?: string; limit?: number; ownerId?: string }) =>
      (await other.buckets.list(asking(), { prefix: p, after: "", limit: 100, ...more })).map((bucket) => bucket.name);
    expect(await list({})).toEqual(names);
    expect(await list({ ownerId: "u" })).toEqual([`${p}-b`]);
    expect(await list({ after: `${p}-a`, limit: 2 })).toEqual([`${p}-b`, `${p}-c`]);
    await other.buckets.delete(asking(), `${p}-c`);
    expect(await list({})).toEqual([`${p}-a`, `${p}-b`, `${p}-d`]);
  });

  it("a quota holds against writes of two gateways, one after the other", async () => {
    const b = name();
    const bucket = await one.buckets.create(asking(), newBucket(b, { quotaBytes: 1000, quotaObjects: 20 }));
    for (let i = 0; i < 10; i++) {
      await (i % 2 ? one : other).checkQuota(asking(), bucket, { objects: 1, bytes: 100 });
      await world.put(b, `k${i}`, Buffer.alloc(100));
    }
    for (const gateway of [one, other])
      await expect(gateway.checkQuota(asking(), bucket, { objects: 1, bytes: 1 })).rejects.toMatchObject({
        reason: "quota-exceeded",
      });
    await one.checkQuota(asking(), bucket, { objects: 1, bytes: 0 });
  });

  it("a lease is one gateway's at a time, and free when it is given back", async () => {
    const ran: string[] = [];
    let free: () => void = () => {};
    const held = new Promise<void>((resolve) => {
      free = resolve;
    });
    const first = one.lease("test").run(asking(), async () => {
      ran.push("one");
      await held;
    });
    await expect.poll(() => ran.length).toBe(1);
    expect(await other.lease("test").run(asking(), async () => void ran.push("other"))).toBe(false);
    free();
    expect(await first).toBe(true);
    expect(await other.lease("test").run(asking(), async () => void ran.push("other"))).toBe(true);
    expect(ran).toEqual(["one", "other"]);
  });
});
