/**
 * Up to which size bodies are to lie in the metadata: the numbers of docs/decisions/008. Puts and gets of one process with
 * 16 callers, by size, with every body in the metadata and with every body in a file of its own.
 *
 *   node dist/test/bench/objects/inline-or-file.js [folder] [seconds of puts]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  type LocalObjectEngine,
  openObjectEngine,
  startObjectWriter,
} from "../../../src/engines/local/objects/index.js";
import { BUCKET, ctx, newBucket, putOf } from "./engine-calls.js";

const CALLERS = 16;
const SIZES_KIB = [4, 16, 32, 64, 128, 256];
/** Calls a second, of `callers` at once. */
async function perSecond(ms: number, call: (i: number) => Promise<unknown>): Promise<number> {
  const start = performance.now();
  let next = 0;
  const lanes = Array.from({ length: CALLERS }, async () => {
    while (performance.now() < start + ms) await call(next++);
  });
  await Promise.all(lanes);
  return Math.round((next * 1000) / (performance.now() - start));
}

async function get(engine: LocalObjectEngine, key: string): Promise<void> {
  const object = await engine.open(ctx, { bucket: BUCKET, key });
  const bytes = object.read(0, object.version.sizeBytes);
  if (!Buffer.isBuffer(bytes)) for await (const _ of bytes);
  object.close();
}

async function measure(parent: string, sizeBytes: number, inlineBytes: number, ms: number) {
  const dir = mkdtempSync(join(parent, "inline-or-file-"));
  try {
    const writer = await startObjectWriter({ dir });
    const engine = await openObjectEngine({ dir, inlineBytes });
    await engine.createBucket(ctx, newBucket);
    const body = Buffer.alloc(sizeBytes, "body ");
    let count = 0;
    const puts = await perSecond(ms, (i) => {
      count = Math.max(count, i + 1);
      return engine.put(ctx, putOf(`${i}`, body));
    });
    const gets = await perSecond(ms / 2, (i) => get(engine, `${i % count}`));
    await engine.close();
    await writer.close();
    return { puts, gets };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const [parent = ".", seconds = "2"] = process.argv.slice(2);
console.log("KiB | put/s inline | put/s file | get/s inline | get/s file");
for (const kib of SIZES_KIB) {
  const inline = await measure(parent, kib * 1024, kib * 1024, Number(seconds) * 1000);
  const file = await measure(parent, kib * 1024, 0, Number(seconds) * 1000);
  console.log([kib, inline.puts, file.puts, inline.gets, file.gets].join(" | "));
}
