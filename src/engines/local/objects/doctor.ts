/**
 * What `granary doctor` checks of the object store: the metadata against itself, and against the files of bodies. Reads
 * only. Whether the bytes are still those that were written is `granary object scrub`'s to find.
 */
import * as fs from "node:fs/promises";
import { join } from "node:path";
import type { Finding } from "../../../model/finding.js";
import { isMissing } from "./bodies/disk.js";
import { fileBytes } from "./bodies/format.js";
import { bodyPath } from "./bodies/generation-folders.js";
import { BODIES_PER_GENERATION } from "./bodies/types.js";
import { type Recount, recount } from "./doctor-recount.js";
import { sequenceKey } from "./keys.js";
import { openTables, type Tables } from "./tables.js";

export interface StoreReport {
  findings: Finding[];
  objects: number;
  bodies: number;
}

const BUG = "keep a copy of the object store's folder and report it: no sequence of requests should lead here";

const error = (check: string, where: string, what: string, next = BUG): Finding => ({
  severity: "error",
  ...{ check, where, what, next },
});

/**
 * `dir`: the store's folder. Undefined: there is no store. Beside a running server what is found may be a request in
 * progress: look twice.
 */
export async function checkObjectStore(dir: string): Promise<StoreReport | undefined> {
  if (!(await fs.stat(join(dir, "meta", "data.mdb")).catch(() => undefined))) return undefined;
  const tables = openTables(dir, { readOnly: true });
  try {
    const counted = recount(tables);
    const findings = [...checkCounts(counted), ...(await checkFiles(join(dir, "bodies"), counted, tables))];
    return { findings, objects: counted.objects, bodies: counted.bodies.size };
  } finally {
    await tables.root.close();
  }
}

function checkCounts(counted: Recount): Finding[] {
  const found: Finding[] = [];
  for (const [bucket, usage] of counted.usages) {
    const [kept, right] = [JSON.stringify(usage.kept), JSON.stringify(usage.counted)];
    if (kept !== right) found.push(error("usage-wrong", bucket, `its usage is kept as ${kept}, and is ${right}`));
  }
  for (const [id, { references, recorded }] of counted.bodies)
    if (references !== recorded)
      found.push(
        error("body-references", `body ${id}`, `${references} refer to it, ${recorded ?? "none"} are recorded`),
      );
  for (const [id, { references, recorded }] of counted.manifests)
    if (references !== recorded)
      found.push(
        error("manifest-references", `manifest ${id}`, `${references} refer to it, ${recorded ?? "none"} are recorded`),
      );
  for (const id of counted.inlineMissing)
    found.push(error("inline-missing", `small body ${id}`, "its bytes are not there"));
  if (counted.inlineLeft !== 0)
    found.push(error("inline-left", "small bodies", `${counted.inlineLeft} that nothing refers to`));
  for (const id of counted.lostParts) found.push(error("part-lost", `upload ${id}`, "it has parts, and is not there"));
  for (const id of counted.lostBuckets) found.push(error("bucket-lost", `bucket ${id}`, "it has rows, and no name"));
  return found;
}

async function checkFiles(dir: string, counted: Recount, tables: Tables): Promise<Finding[]> {
  const found: Finding[] = [];
  for (const [id, { sizeBytes }] of counted.bodies) {
    const path = bodyPath(dir, id);
    const size = await sizeOfFile(path);
    const wanted = fileBytes(sizeBytes);
    const restore = "restore the objects from a copy; granary object scrub names them";
    if (size === undefined) found.push(error("body-missing", path, "the file of a body is not there", restore));
    else if (size !== wanted) found.push(error("body-size", path, `it has ${size} bytes, not ${wanted}`, restore));
  }
  for (const folder of await namesIn(dir)) {
    const generation = /^[0-9a-f]{8}$/.test(folder) ? Number.parseInt(folder, 16) : Number.NaN;
    for (const name of await namesIn(join(dir, folder))) {
      const slot = /^[0-9a-f]{3}$/.test(name) ? Number.parseInt(name, 16) : Number.NaN;
      const key = sequenceKey(Number.isNaN(generation + slot) ? 0 : generation * BODIES_PER_GENERATION + slot);
      tables.root.resetReadTxn();
      if (tables.bodies.doesExist(key) || tables.garbage.doesExist(key)) continue;
      // A body on its way; or left by a process that ended, and the sweep comes.
      if (tables.generations.doesExist(sequenceKey(generation || 0))) continue;
      found.push(error("body-orphan", join(dir, folder, name), "no metadata names the file"));
    }
  }
  return found;
}

async function sizeOfFile(path: string): Promise<number | undefined> {
  try {
    return (await fs.stat(path)).size;
  } catch (failure) {
    if (isMissing(failure)) return undefined;
    throw failure;
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await fs.readdir(folder);
  } catch (failure) {
    if (isMissing(failure)) return [];
    throw failure;
  }
}
