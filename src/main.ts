#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Command } from "commander";
import { applyCommand } from "./cli/apply.js";
import { bucketCommand } from "./cli/bucket.js";
import { deleteCommand } from "./cli/delete.js";
import { demoCommand } from "./cli/demo.js";
import { describeCommand } from "./cli/describe.js";
import { doctorCommand } from "./cli/doctor.js";
import { getCommand } from "./cli/get.js";
import { migrateCommand } from "./cli/migrate.js";
import { objectCommand } from "./cli/object-scrub.js";
import { objectstoreCommand } from "./cli/objectstore.js";
import { objectstoreWorkerCommand } from "./cli/objectstore-worker.js";
import { poolCommand } from "./cli/pool.js";
import { serveCommand } from "./cli/serve.js";
import { userCommand } from "./cli/user.js";
import { messageOf, StorageError } from "./errors/storage-error.js";
import { protoFile } from "./runtime/grpc.js";

const { version } = JSON.parse(readFileSync(join(dirname(protoFile("csi.proto")), "..", "package.json"), "utf8")) as {
  version: string;
};

const program = new Command("granary")
  .description("Storage for a data center: block volumes, shared filesystem volumes and objects, behind one driver")
  .version(version)
  .showHelpAfterError("run with --help to see what is possible");

for (const role of ["up", "controller", "node"] as const) program.addCommand(serveCommand(role, version));
program.addCommand(objectstoreCommand(version));
program.addCommand(objectstoreWorkerCommand(), { hidden: true });
program.addCommand(poolCommand());
program.addCommand(applyCommand());
program.addCommand(deleteCommand());
program.addCommand(getCommand());
program.addCommand(describeCommand());
program.addCommand(userCommand());
program.addCommand(bucketCommand());
program.addCommand(objectCommand());
program.addCommand(migrateCommand());
program.addCommand(doctorCommand());
program.addCommand(demoCommand());

program.parseAsync().catch((error: unknown) => {
  process.stderr.write(
    `granary: ${error instanceof StorageError ? error.message : ((error as Error).stack ?? messageOf(error))}\n`,
  );
  process.exitCode = 1;
});
