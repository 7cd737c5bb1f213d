// A gateway's half of buckets in a process of its own, from the build, that kills itself at a step. Its parent sends
// {settings, step, act, name} and is told {done} where the step was not come to.
import { UpstreamClient } from "../../dist/src/engines/s3/client.js";
import { openState } from "../../dist/src/engines/s3/state/state.js";
import { NOBODY_ELSE } from "../../dist/src/engines/s3/state/told.js";
import { crashAtStep } from "../../dist/src/runtime/steps.js";

const log = { warn() {}, debug() {}, error() {}, info() {} };
const ctx = { signal: new AbortController().signal, requestId: "crash", log };

process.on("message", async ({ settings, step, act, bucket, change, key, words }) => {
  const client = new UpstreamClient(settings);
  const state = await openState(ctx, { client, told: NOBODY_ELSE, log, first: false });
  if (step) crashAtStep(step);
  if (act === "create") await state.buckets.create(ctx, bucket);
  if (act === "change") await state.buckets.change(ctx, bucket.name, change);
  if (act === "delete") await state.buckets.delete(ctx, bucket.name);
  if (act === "add") {
    const add = (word) =>
      state.documents.change(ctx, key, ({ text }) => ({
        text: JSON.stringify([...JSON.parse(text || "[]"), word]),
        result: 0,
      }));
    await Promise.all(words.map(add));
  }
  process.send({ done: true }, () => process.exit(0));
});
