import { Command } from "commander";
import { path } from "./admin-client.js";
import { type AdminFlags, addAdminFlags, connect } from "./admin-flags.js";

const DESCRIPTION = {
  disable: "refuse every request that is signed with the user's keys, until it is enabled again",
  enable: "take the requests of a disabled user again",
};

/** `granary user disable NAME ...` and `granary user enable NAME ...`. */
export function userStateCommand(verb: "disable" | "enable"): Command {
  const command = new Command(verb).description(DESCRIPTION[verb]).argument("<names...>", "the users' names");
  return addAdminFlags(command).action(async (names: string[], flags: AdminFlags) => {
    const admin = await connect(flags);
    for (const name of names) {
      await admin.call("PATCH", path`/v1/users/${name}`, { disabled: verb === "disable" });
      process.stdout.write(`user ${name} ${verb}d\n`);
    }
  });
}

/** `granary user delete NAME ...`. */
export function userDeleteCommand(): Command {
  const command = new Command("delete")
    .description("remove users with their keys and policies; one that owns buckets stays")
    .argument("<names...>", "the users' names");
  return addAdminFlags(command).action(async (names: string[], flags: AdminFlags) => {
    const admin = await connect(flags);
    for (const name of names) {
      await admin.call("DELETE", path`/v1/users/${name}`);
      process.stdout.write(`user ${name} deleted\n`);
    }
  });
}
