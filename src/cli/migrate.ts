import { Command } from "commander";
import { migrateBucketCommand } from "./migrate-bucket.js";
import { migrateVolumeCommand } from "./migrate-volume.js";

/** `granary migrate ...`. */
export function migrateCommand(): Command {
  return new Command("migrate")
    .description("move a volume or a bucket to another engine, under the name that it has")
    .addCommand(migrateVolumeCommand())
    .addCommand(migrateBucketCommand());
}
