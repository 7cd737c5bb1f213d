import { Command } from "commander";
import type { UserView } from "../../objectstore/admin/views.js";
import {
  type AdminFlags,
  addAdminFlags,
  addOutputFlag,
  connect,
  formatOf,
  type OutputFlags,
  printAnswer,
  shortTime,
} from "./admin-flags.js";
import { printTable } from "./table.js";

/** `granary user list`. */
export function userListCommand(): Command {
  const command = new Command("list").alias("ls").description("list the users of the object store");
  return addAdminFlags(addOutputFlag(command)).action(list);
}

async function list(flags: AdminFlags & OutputFlags): Promise<void> {
  const format = formatOf(flags);
  const users = await (await connect(flags)).call<UserView[]>("GET", "/v1/users");
  if (users.length === 0 && format === "table") {
    process.stderr.write("No users found; make one with: granary user create NAME\n");
    return;
  }
  printAnswer(format, users, () => printTable(["NAME", "STATUS", "KEYS", "POLICIES", "CREATED"], users.map(row)));
}

const row = ({ name, disabled, keys, policies, created }: UserView): string[] => [
  name,
  disabled ? "disabled" : "enabled",
  String(keys.length),
  policies.map((policy) => policy.name).join(",") || "none",
  shortTime(created),
];
