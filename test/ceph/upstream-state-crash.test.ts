import { type ChildProcess, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkUpstream } from "../../src/engines/s3/doctor.js";
import type { UpstreamState } from "../../src/engines/s3/state/state.js";
import { UPSTREAM_STEPS } from "../../src/runtime/steps.js";
import { asking, newBucket, UpstreamWorld } from "./upstream-world.js";

const PROCESS = fileURLToPath(new URL("upstream-crash.mjs", import.meta.url));
/** Longer than the time in which a step may still be under way. */
const ABANDONED_MS = 17_000;

let world: UpstreamWorld;
let next: UpstreamState;

beforeAll(async () => {
  world = new UpstreamWorld();
  next = await world.gateway(true);
});
afterAll(() => world.remove());

/** Another process does it. "done", or the signal that ended it. */
function another(message: object): Promise<string | null> {
  const child: ChildProcess = fork(PROCESS);
  child.send({ settings: world.settings, ...message });
  return new Promise((resolve) => {
    let done = false;
    child.on("message", () => {
      done = true;
    });
    child.on("exit", (_code, signal) => resolve(done ? "done" : signal));
  });
}

const name = () => `b${randomBytes(4).toString("hex")}`;
const CREATION = ["upstream-bucket/claimed", "upstream-bucket/made"];
const CHANGE = ["upstream-bucket/changed", "upstream-bucket/versioning-set"];
const DELETION = ["upstream-bucket/deleting", "upstream-bucket/removed", "upstream-bucket/notes-removed"];

describe("two processes and many racers", () => {
  it("every edit of one document by 32 racers in two processes is there", async () => {
    const key = `test/${name()}`;
    const words = Array.from({ length: 32 }, (_, i) => `w${i}`);
    const halves = [words.slice(0, 16), words.slice(16)];
    const ended = await Promise.all(halves.map((half) => another({ act: "add", key, words: half })));
    expect(ended).toEqual(["done", "done"]);
    const { text } = await next.documents.readAll(asking(), key);
    expect((JSON.parse(text) as string[]).sort()).toEqual([...words].sort());
    await next.documents.remove(asking(), key);
  });
});

describe("a gateway that dies at a step of a bucket's life", () => {
  const died: { step: string; bucket: string }[] = [];

  it.each([...CREATION, ...CHANGE, ...DELETION])("dies at %s", async (step) => {
    const bucket = newBucket(name());
    const act = CREATION.includes(step) ? "create" : CHANGE.includes(step) ? "change" : "delete";
    if (act !== "create") await next.buckets.create(asking(), bucket);
    if (act === "delete") await next.documents.swap(asking(), `objects/${bucket.name}/note`, "", "{}");
    expect(await another({ step, act, bucket, change: { versioning: "enabled" } })).toBe("SIGKILL");
    died.push({ step, bucket: bucket.name });
  });

  it("every step is one of those", () => {
    expect([...CREATION, ...CHANGE, ...DELETION].sort()).toEqual([...UPSTREAM_STEPS].sort());
  });

  it("of a creation and a deletion nothing is seen, and for a moment the name is not given anew", async () => {
    for (const { step, bucket } of died.filter((one) => !CHANGE.includes(one.step))) {
      expect([step, await next.cache.bucket(asking(), bucket)]).toEqual([step, undefined]);
    }
  });

  it("a change is seen, and the next one brings it upstream too", async () => {
    for (const { bucket } of died.filter(({ step }) => CHANGE.includes(step))) {
      next.cache.forget(bucket);
      expect((await next.cache.bucket(asking(), bucket))?.versioning).toBe("enabled");
      await next.buckets.change(asking(), bucket, { quotaObjects: 10 });
      await world.put(bucket, "k", Buffer.from("1"));
      await world.put(bucket, "k", Buffer.from("2"));
      expect((await next.upstream.usage(asking(), { name: bucket, versioning: "enabled" })).objects).toBe(2);
    }
  });

  it("whoever creates the bucket next has it whole and empty; deleted, nothing is left", async () => {
    await wait(ABANDONED_MS);
    for (const { step, bucket } of died.filter((one) => !CHANGE.includes(one.step))) {
      const made = await next.buckets.create(asking(), newBucket(bucket, { ownerId: "next" })).catch(String);
      expect([step, made]).toMatchObject([step, { name: bucket, ownerId: "next" }]);
      expect(await next.upstream.isEmpty(asking(), bucket)).toBe(true);
      const notes = await next.documents.list(asking(), `objects/${bucket}/`, "");
      if (DELETION.includes(step)) expect([step, notes.entries]).toEqual([step, []]);
      await next.buckets.delete(asking(), bucket);
    }
    const { findings } = await checkUpstream(world.settings, asking());
    expect(findings).toEqual([]);
  });
});
