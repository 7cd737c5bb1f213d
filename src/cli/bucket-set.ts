import { Command } from "commander";
import type { BucketChangeRequest } from "../../objectstore/admin/views.js";
import { invalid } from "../errors/storage-error.js";
import { path } from "./admin-client.js";
import { type AdminFlags, addAdminFlags, connect } from "./admin-flags.js";
import { DURABILITY_HELP, type LimitFlags, limitsOf } from "./bucket-flags.js";

interface SetFlags extends AdminFlags, LimitFlags {
  objectLock?: boolean;
  versioning?: string;
}

const HELP = `
A quota that is less than what the bucket holds refuses further writes and removes nothing.`;

/** `granary bucket set NAME`. */
export function bucketSetCommand(): Command {
  const command = new Command("set")
    .description("change a bucket's quotas, durability, versioning or object lock")
    .argument("<name>", "the bucket's name")
    .option("--quota <size>", "the most bytes it may hold, for example 10Gi, or none")
    .option("--object-quota <number>", "the most objects it may hold, or none")
    .option("--durability <kind>", DURABILITY_HELP)
    .option("--versioning <state>", "enabled or suspended")
    .option("--object-lock", "let objects be locked against deletion; it stays on")
    .addHelpText("after", HELP);
  return addAdminFlags(command).action(set);
}

async function set(name: string, flags: SetFlags): Promise<void> {
  const { versioning } = flags;
  if (versioning !== undefined && versioning !== "enabled" && versioning !== "suspended")
    throw invalid(`--versioning: ${JSON.stringify(versioning)} is not enabled or suspended`);
  const objectLock = flags.objectLock ? true : undefined;
  const change: BucketChangeRequest = { versioning, objectLock, ...limitsOf(flags) };
  if (Object.values(change).every((value) => value === undefined))
    throw invalid("say what to set: --quota, --object-quota, --durability, --versioning or --object-lock");
  await (await connect(flags)).call("PATCH", path`/v1/buckets/${name}`, change);
  process.stdout.write(`bucket ${name} changed\n`);
}
