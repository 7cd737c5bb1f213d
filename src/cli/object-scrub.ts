import { Command } from "commander";
import type { DamagedObject, ScrubLine } from "../../objectstore/admin/views.js";
import { StorageError } from "../errors/storage-error.js";
import { count } from "../model/count.js";
import { showSize } from "../model/size.js";
import {
  type AdminFlags,
  addAdminFlags,
  addOutputFlag,
  connect,
  formatOf,
  type OutputFlags,
  printAnswer,
} from "./admin-flags.js";
import { interruptSignal } from "./object-flags.js";
import { stderrProgress } from "./progress.js";
import { printTable } from "./table.js";

interface ScrubFlags extends AdminFlags, OutputFlags {
  bucket?: string;
}

const HELP = `
Runs beside all other work, and can be stopped by Ctrl-C at any time.

Exit code: 0 when every checksum is right, 1 when an object is damaged or the scrub did not get to its end.`;

/** `granary object ...`. */
export function objectCommand(): Command {
  const scrubCommand = new Command("scrub")
    .description("reread every stored object and verify its checksums")
    .option("--bucket <bucket>", "only this bucket's objects (default: all)")
    .addHelpText("after", HELP);
  return new Command("object")
    .description("look after the objects of the object store")
    .addCommand(addAdminFlags(addOutputFlag(scrubCommand)).action(scrub));
}

async function scrub(flags: ScrubFlags): Promise<void> {
  const format = formatOf(flags);
  const admin = await connect(flags);
  const signal = interruptSignal();
  const progress = stderrProgress();
  const damaged: DamagedObject[] = [];
  let last: ScrubLine | undefined;
  try {
    for await (const line of admin.lines<ScrubLine>("POST", "/v1/scrub", { bucket: flags.bucket }, signal)) {
      last = line;
      damaged.push(...line.damaged);
      progress.show(progressLine(line, damaged.length));
    }
  } finally {
    progress.clear();
  }
  if (!last?.done) throw new StorageError("aborted", "the scrub ended before it had looked at every object");
  const { objects, bytes } = last;
  printAnswer(format, { objects, bytes, damaged }, () => report(objects, bytes, damaged));
  if (damaged.length > 0) process.exitCode = 1;
}

function progressLine({ objects, totalObjects, bytes }: ScrubLine, damaged: number): string {
  const percent = totalObjects === 0 ? 100 : Math.min(100, Math.floor((objects / totalObjects) * 100));
  const found = damaged === 0 ? "" : `, ${damaged} damaged`;
  return `${percent}%  ${objects} of ${count(totalObjects, "object")}, ${showSize(BigInt(bytes))}${found}`;
}

function report(objects: number, bytes: number, damaged: readonly DamagedObject[]): string {
  const looked = `${count(objects, "object")}, ${showSize(BigInt(bytes))} verified`;
  if (damaged.length === 0) return `${looked}: no damage\n`;
  const rows = damaged.map(({ bucket, key, versionId, problem }) => [bucket, key, versionId, problem]);
  return `${printTable(["BUCKET", "KEY", "VERSION", "PROBLEM"], rows)}${looked}: ${damaged.length} damaged\n`;
}
