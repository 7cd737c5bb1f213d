import { text } from "node:stream/consumers";
import type { LoadJob } from "./load-job.js";
import { loadListing } from "./load-listing.js";
import { loadObjects } from "./load-objects.js";

// The load generator: a process of its own, so that its event loop and memory are not the runner's. A LoadJob as JSON
// on standard input, a LoadResult as JSON on standard output.
const job = JSON.parse(await text(process.stdin)) as LoadJob;
const result = job.operation === "LIST" ? await loadListing(job) : await loadObjects(job);
process.stdout.write(`${JSON.stringify(result)}\n`);
