// Reconciles a data dir's objects and kills itself at the Nth step: before and after each CSI call, after each write.
// Prints how many steps there were when it gets to the end.
import { openObjectStore } from "../../dist/src/manifests/object-store.js";
import { reconcile } from "../../dist/src/manifests/reconcile.js";
import { CsiClient } from "../../dist/src/runtime/csi-client.js";

const [dataDir, endpoint, dieAt] = process.argv.slice(2);
const store = await openObjectStore(dataDir, { lock: true, timeoutMs: 5000 });
const csi = new CsiClient(endpoint);
let steps = 0;

async function step() {
  if (++steps !== Number(dieAt)) return;
  process.kill(process.pid, "SIGKILL");
  // The signal needs a moment; nothing of ours may run in it.
  await new Promise(() => setTimeout(() => {}, 60_000));
}

for (const [object, name, before] of [
  [csi, "call", true],
  [store, "put", false],
  [store, "remove", false],
]) {
  const real = object[name].bind(object);
  object[name] = async (...args) => {
    if (before) await step();
    const result = await real(...args);
    await step();
    return result;
  };
}

const signal = new AbortController().signal;
const result = await reconcile(store, csi, { dataDir, timeoutMs: 20_000, signal, progress: () => {} });
csi.close();
await store.close();
const problems = [...result.waiting, ...result.failed].map(({ object, message }) => [object.kind, message]);
console.log(JSON.stringify({ steps, problems }));
