import { Command } from "commander";
import type { BucketView } from "../../objectstore/admin/views.js";
import { count } from "../model/count.js";
import { showSize } from "../model/size.js";
import { type AdminClient, path } from "./admin-client.js";
import {
  type AdminFlags,
  addAdminFlags,
  addOutputFlag,
  connect,
  fields,
  formatOf,
  type OutputFlags,
  printAnswer,
  shortTime,
} from "./admin-flags.js";
import { bucketCreateCommand } from "./bucket-create.js";
import { bucketSetCommand } from "./bucket-set.js";
import { printTable } from "./table.js";

const PAGE = 1000;

/** `granary bucket ...`. */
export function bucketCommand(): Command {
  const listCommand = new Command("list").alias("ls").description("list buckets with what they hold and may hold");
  const showCommand = new Command("show").description("show a bucket").argument("<name>", "the bucket's name");
  const deleteCommand = new Command("delete")
    .description("remove empty buckets: without objects, versions, delete markers and unfinished uploads")
    .argument("<names...>", "the buckets' names");
  return new Command("bucket")
    .description("make, show, change and remove buckets of the object store")
    .addCommand(bucketCreateCommand())
    .addCommand(addAdminFlags(addOutputFlag(listCommand)).action(list))
    .addCommand(addAdminFlags(addOutputFlag(showCommand)).action(show))
    .addCommand(bucketSetCommand())
    .addCommand(addAdminFlags(deleteCommand).action(remove));
}

async function list(flags: AdminFlags & OutputFlags): Promise<void> {
  const format = formatOf(flags);
  const buckets = await allBuckets(await connect(flags));
  if (buckets.length === 0 && format === "table") {
    process.stderr.write("No buckets found; make one with: granary bucket create NAME\n");
    return;
  }
  const titles = ["NAME", "OWNER", "OBJECTS", "SIZE", "QUOTA", "VERSIONING", "LOCK", "DURABILITY", "CREATED"];
  printAnswer(format, buckets, () => printTable(titles, buckets.map(row)));
}

async function allBuckets(admin: AdminClient): Promise<BucketView[]> {
  const found: BucketView[] = [];
  for (;;) {
    const after = found.at(-1)?.name ?? "";
    const page = await admin.call<BucketView[]>("GET", `/v1/buckets?after=${encodeURIComponent(after)}`);
    found.push(...page);
    if (page.length < PAGE) return found;
  }
}

const row = (bucket: BucketView): string[] => [
  bucket.name,
  bucket.owner,
  String(bucket.usage.objects),
  showSize(BigInt(bucket.usage.bytes)),
  quotaOf(bucket),
  bucket.versioning,
  bucket.objectLock ? "on" : "off",
  bucket.durability,
  shortTime(bucket.created),
];

function quotaOf({ quotaBytes, quotaObjects }: BucketView): string {
  const parts = [
    ...(quotaBytes === null ? [] : [showSize(BigInt(quotaBytes))]),
    ...(quotaObjects === null ? [] : [count(quotaObjects, "object")]),
  ];
  return parts.join(", ") || "none";
}

async function show(name: string, flags: AdminFlags & OutputFlags): Promise<void> {
  const format = formatOf(flags);
  const bucket = await (await connect(flags)).call<BucketView>("GET", path`/v1/buckets/${name}`);
  const { objects, bytes, deleteMarkers, uploads } = bucket.usage;
  printAnswer(format, bucket, () =>
    fields([
      ["name", bucket.name],
      ["owner", bucket.owner === bucket.ownerId ? bucket.owner : `${bucket.owner}, ${bucket.ownerId}`],
      ["created", shortTime(bucket.created)],
      ["region", bucket.region],
      ["holds", `${count(objects, "object")}, ${showSize(BigInt(bytes))}`],
      ["also", `${count(deleteMarkers, "delete marker")}, ${count(uploads, "unfinished upload")}`],
      ["quota", quotaOf(bucket)],
      ["versioning", bucket.versioning],
      ["object lock", bucket.objectLock ? "on" : "off"],
      ["durability", bucket.durability],
      ["configured", bucket.configurations.join(", ") || "nothing"],
    ]),
  );
}

async function remove(names: string[], flags: AdminFlags): Promise<void> {
  const admin = await connect(flags);
  for (const name of names) {
    await admin.call("DELETE", path`/v1/buckets/${name}`);
    process.stdout.write(`bucket ${name} deleted\n`);
  }
}
