import { Command } from "commander";
import { userCreateCommand } from "./user-create.js";
import { userKeyCommand } from "./user-key.js";
import { userListCommand } from "./user-list.js";
import { userPolicyCommand } from "./user-policy.js";
import { userShowCommand } from "./user-show.js";
import { userDeleteCommand, userStateCommand } from "./user-state.js";

const HELP = `
The root user is not among them: its key is configured (GRANARY_ROOT_ACCESS_KEY, GRANARY_ROOT_SECRET_KEY), or lies in
DATA-DIR/objects/root-credentials.json.`;

/** `granary user ...`: who may sign requests to the object store. */
export function userCommand(): Command {
  return new Command("user")
    .description("make, show and remove users of the object store, their keys and policies")
    .addCommand(userCreateCommand())
    .addCommand(userListCommand())
    .addCommand(userShowCommand())
    .addCommand(userStateCommand("disable"))
    .addCommand(userStateCommand("enable"))
    .addCommand(userDeleteCommand())
    .addCommand(userKeyCommand())
    .addCommand(userPolicyCommand())
    .addHelpText("after", HELP);
}
