// Another process of the store, from the build: puts and looks as its parent says.
import { openObjectEngine } from "../../dist/src/engines/local/objects/index.js";

const [dir] = process.argv.slice(2);
const engine = await openObjectEngine({ dir });
const ctx = { signal: new AbortController().signal, requestId: "neighbour", log: undefined };

process.on("message", async ({ act, request }) => {
  try {
    if (act === "head") process.send({ etag: (await engine.head(ctx, request)).etag });
    if (act === "put") {
      const bytes = Buffer.from(request.text);
      const body = { bytes, lengthBytes: bytes.length, finish: () => request.digest };
      process.send({ etag: (await engine.put(ctx, { ...request, body })).etag });
    }
    if (act === "close") {
      await engine.close();
      process.disconnect();
    }
  } catch (error) {
    process.send({ error: error.reason ?? String(error) });
  }
});
process.send({ ready: true });
