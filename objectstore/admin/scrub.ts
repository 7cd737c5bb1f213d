import { z } from "zod";
import { findBucket } from "./buckets.js";
import type { AdminCall, Route } from "./route.js";
import type { ScrubLine } from "./views.js";

export const scrubRoutes: readonly Route[] = [{ method: "POST", path: "/v1/scrub", run: scrub }];

/** Rereads every object of a bucket, or of all, and says how far it is. Ends when its client goes. */
async function* scrub(call: AdminCall): AsyncGenerator<ScrubLine> {
  const { bucket } = call.body(z.strictObject({ bucket: z.string().optional() }));
  if (bucket !== undefined) await findBucket(call, bucket);
  // The engine's list of damage grows; each finding is sent once.
  let told = 0;
  for await (const progress of call.world.engine.scrub(call, bucket ?? null)) {
    const { objects, bytes, totalObjects, damaged, done } = progress;
    yield { objects, bytes, totalObjects, damaged: damaged.slice(told), done };
    told = damaged.length;
  }
}
