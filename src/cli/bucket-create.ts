import { Command } from "commander";
import type { BucketView, NewBucketRequest } from "../../objectstore/admin/views.js";
import { type AdminFlags, addAdminFlags, connect } from "./admin-flags.js";
import { DURABILITY_HELP, type LimitFlags, limitsOf } from "./bucket-flags.js";

interface CreateFlags extends AdminFlags, LimitFlags {
  owner?: string;
  objectLock?: boolean;
  versioning?: boolean;
}

const HELP = `
Examples:
  granary bucket create photos --owner alice --quota 100Gi
  granary bucket create ledger --object-lock`;

/** `granary bucket create NAME`. */
export function bucketCreateCommand(): Command {
  const command = new Command("create")
    .description("make a bucket")
    .argument("<name>", "3 to 63 lower-case letters, digits, dots and hyphens")
    .option("--owner <user>", "the user that it belongs to, by name or id (default: root)")
    .option("--quota <size>", "the most bytes it may hold, all versions and unfinished uploads counted: 10Gi")
    .option("--object-quota <number>", "the most objects it may hold, all versions counted")
    .option("--durability <kind>", DURABILITY_HELP)
    .option("--versioning", "keep the versions of overwritten and deleted objects")
    .option("--object-lock", "let objects be locked against deletion; includes --versioning and stays on")
    .addHelpText("after", HELP);
  return addAdminFlags(command).action(create);
}

async function create(name: string, flags: CreateFlags): Promise<void> {
  const { owner, objectLock, versioning } = flags;
  const wanted: NewBucketRequest = { name, owner, objectLock, versioning, ...limitsOf(flags) };
  const bucket = await (await connect(flags)).call<BucketView>("POST", "/v1/buckets", wanted);
  process.stdout.write(`bucket ${bucket.name} created, of ${bucket.owner}\n`);
}
