import { Command } from "commander";
import type { UserView } from "../../objectstore/admin/views.js";
import { path } from "./admin-client.js";
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

/** `granary user show NAME`. */
export function userShowCommand(): Command {
  const command = new Command("show")
    .description("show a user, its access keys (never their secrets) and its policies")
    .argument("<name>", "the user's name");
  return addAdminFlags(addOutputFlag(command)).action(show);
}

async function show(name: string, flags: AdminFlags & OutputFlags): Promise<void> {
  const format = formatOf(flags);
  const user = await (await connect(flags)).call<UserView>("GET", path`/v1/users/${name}`);
  printAnswer(format, user, () =>
    fields([
      ["name", user.name],
      ["id", user.id],
      ["display name", user.displayName],
      ["email", user.email || "none"],
      ["status", user.disabled ? "disabled" : "enabled"],
      ["created", shortTime(user.created)],
      ...several(
        "access keys",
        user.keys.map(({ accessKey, created, disabled }) =>
          [accessKey, `since ${shortTime(created)}`, ...(disabled ? ["disabled"] : [])].join(", "),
        ),
      ),
      ...several(
        "policies",
        user.policies.map((policy) => policy.name),
      ),
    ]),
  );
}

/** The first beside the title, the others under it. */
const several = (title: string, values: readonly string[]): [string, string][] =>
  values.length === 0 ? [[title, "none"]] : values.map((value, i) => [i === 0 ? title : "", value]);
