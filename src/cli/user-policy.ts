import { Command } from "commander";
import type { PolicyView } from "../../objectstore/admin/views.js";
import { path } from "./admin-client.js";
import {
  type AdminFlags,
  addAdminFlags,
  addOutputFlag,
  connect,
  formatOf,
  type OutputFlags,
  printAnswer,
} from "./admin-flags.js";
import { POLICY_WORDS, readPolicy } from "./policy-source.js";

const NAME = ["<name>", "the user's name"] as const;

const HELP = `
Examples:
  granary user policy attach alice readonly
  granary user policy attach alice ./team.json --as team
  granary user policy detach alice team`;

/** `granary user policy ...`. */
export function userPolicyCommand(): Command {
  const attachCommand = new Command("attach")
    .description("let a user do what a policy allows; one of the same name is replaced")
    .argument(...NAME)
    .argument("<file-or-name>", POLICY_WORDS)
    .option("--as <policy>", "the name that it is attached under (default: the file's name without its ending)");
  const detachCommand = new Command("detach")
    .description("take a policy from a user")
    .argument(...NAME)
    .argument("<policy>", "the name that it was attached under");
  const listCommand = new Command("list")
    .alias("ls")
    .description("list a user's policies; -o json shows their documents")
    .argument(...NAME);
  return new Command("policy")
    .description("attach and detach the policies of a user")
    .addCommand(addAdminFlags(attachCommand).action(attach))
    .addCommand(addAdminFlags(detachCommand).action(detach))
    .addCommand(addAdminFlags(addOutputFlag(listCommand)).action(list))
    .addHelpText("after", HELP);
}

async function attach(user: string, word: string, flags: AdminFlags & { as?: string }): Promise<void> {
  const { name, document } = await readPolicy(word, flags.as);
  await (await connect(flags)).call("PUT", path`/v1/users/${user}/policies/${name}`, { document });
  process.stdout.write(`policy ${name} attached to user ${user}\n`);
}

async function detach(user: string, name: string, flags: AdminFlags): Promise<void> {
  await (await connect(flags)).call("DELETE", path`/v1/users/${user}/policies/${name}`);
  process.stdout.write(`policy ${name} detached from user ${user}\n`);
}

async function list(user: string, flags: AdminFlags & OutputFlags): Promise<void> {
  const format = formatOf(flags);
  const policies = await (await connect(flags)).call<PolicyView[]>("GET", path`/v1/users/${user}/policies`);
  if (policies.length === 0 && format === "table") process.stderr.write(`User ${user} has no policy.\n`);
  else printAnswer(format, policies, () => policies.map(({ name }) => `${name}\n`).join(""));
}
