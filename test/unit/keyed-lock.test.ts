import { describe, expect, it } from "vitest";
import { KeyedLock } from "../../src/runtime/keyed-lock.js";

function gate(): { opened: Promise<void>; open: () => void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

describe("KeyedLock", () => {
  it("second operation on a held key: ABORTED with the first's name and age, and its work never starts", async () => {
    const lock = new KeyedLock();
    const { opened, open } = gate();
    const first = lock.run(["v1"], "CreateVolume", () => opened);
    let started = false;
    const second = lock.run(["v1"], "DeleteVolume", async () => {
      started = true;
    });
    await expect(second).rejects.toMatchObject({
      code: "aborted",
      message: expect.stringMatching(/CreateVolume .*v1 .*\d+ ms/),
    });
    expect(started).toBe(false);
    open();
    await first;
  });

  it("a refused operation takes none of its other keys", async () => {
    const lock = new KeyedLock();
    const { opened, open } = gate();
    const first = lock.run(["b"], "first", () => opened);
    await expect(lock.run(["a", "b"], "second", async () => 1)).rejects.toMatchObject({ code: "aborted" });
    await expect(lock.run(["a"], "third", async () => 3)).resolves.toBe(3);
    open();
    await first;
    expect(lock.size).toBe(0);
  });

  it("different keys: run at the same time", async () => {
    const lock = new KeyedLock();
    const { opened, open } = gate();
    const first = lock.run(["a"], "first", () => opened);
    await expect(lock.run(["b"], "second", async () => "done")).resolves.toBe("done");
    open();
    await first;
  });

  it("the same key twice in one call: held once", async () => {
    const lock = new KeyedLock();
    await expect(lock.run(["a", "a"], "op", async () => lock.size)).resolves.toBe(1);
    expect(lock.size).toBe(0);
  });

  it.each([
    ["rejects", () => Promise.reject(new Error("boom"))],
    [
      "throws before its first await",
      (): Promise<never> => {
        throw new Error("boom");
      },
    ],
  ])("work that %s: the error passes through and the key is free", async (_how, work) => {
    const lock = new KeyedLock();
    await expect(lock.run(["a"], "op", work)).rejects.toThrow("boom");
    expect(lock.size).toBe(0);
    await expect(lock.run(["a"], "op", async () => 2)).resolves.toBe(2);
  });

  it("100 calls at once on one key: one works, 99 are ABORTED, no lock left", async () => {
    const lock = new KeyedLock();
    const { opened, open } = gate();
    const calls = Array.from({ length: 100 }, () => lock.run(["v"], "op", () => opened));
    const settled = Promise.allSettled(calls);
    open();
    const results = await settled;
    expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(1);
    expect(lock.size).toBe(0);
  });
});
