import { Command } from "commander";
import type { KeyView, NewKeyView } from "../../objectstore/admin/views.js";
import { invalid } from "../errors/storage-error.js";
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
import { keyRows, readSecret, SECRET_NOTE } from "./secret-flags.js";
import { printTable } from "./table.js";

interface NewKeyFlags extends AdminFlags, OutputFlags {
  accessKey?: string;
  secretKey?: string;
}

const NAME = ["<name>", "the user's name"] as const;
const KEY = "the access key";

/** `granary user key ...`. */
export function userKeyCommand(): Command {
  return new Command("key")
    .description("make, replace, disable and remove the access keys of a user")
    .addCommand(
      newKeyFlags(new Command("create").description("make another access key").argument(...NAME)).action(create),
    )
    .addCommand(
      newKeyFlags(
        new Command("rotate")
          .description("put a new access key and secret in the place of one, which is refused from then on")
          .argument(...NAME)
          .argument("[access-key]", `${KEY} that goes; needed when the user has several`),
      ).action(rotate),
    )
    .addCommand(stateCommand("disable"))
    .addCommand(stateCommand("enable"))
    .addCommand(
      addAdminFlags(
        new Command("delete")
          .description("remove an access key")
          .argument(...NAME)
          .argument("<access-key>", KEY),
      ).action(remove),
    )
    .addCommand(
      addAdminFlags(
        addOutputFlag(
          new Command("list")
            .alias("ls")
            .description("list a user's access keys")
            .argument(...NAME),
        ),
      ).action(list),
    );
}

const newKeyFlags = (command: Command): Command =>
  addAdminFlags(
    addOutputFlag(
      command
        .option("--access-key <key>", "an access key of your own (default: random)")
        .option("--secret-key <secret>", "a secret of your own, or - to read it from stdin (default: random)"),
    ),
  );

function stateCommand(verb: "disable" | "enable"): Command {
  const description = verb === "disable" ? "refuse requests that are signed with a key" : "take a key's requests again";
  const command = new Command(verb)
    .description(description)
    .argument(...NAME)
    .argument("<access-key>", KEY);
  return addAdminFlags(command).action(async (name: string, accessKey: string, flags: AdminFlags) => {
    const admin = await connect(flags);
    await admin.call("PATCH", path`/v1/users/${name}/keys/${accessKey}`, { disabled: verb === "disable" });
    process.stdout.write(`access key ${accessKey} of user ${name} ${verb}d\n`);
  });
}

async function create(name: string, flags: NewKeyFlags): Promise<void> {
  formatOf(flags);
  await makeKey(await connect(flags), path`/v1/users/${name}/keys`, flags);
}

async function rotate(name: string, accessKey: string | undefined, flags: NewKeyFlags): Promise<void> {
  formatOf(flags);
  const admin = await connect(flags);
  const old = accessKey ?? (await onlyKey(admin, name));
  await makeKey(admin, path`/v1/users/${name}/keys/${old}/rotate`, flags);
  process.stderr.write(`The access key ${old} is refused from now on.\n`);
}

async function onlyKey(admin: AdminClient, name: string): Promise<string> {
  const keys = await admin.call<KeyView[]>("GET", path`/v1/users/${name}/keys`);
  const [only, ...more] = keys;
  if (only && more.length === 0) return only.accessKey;
  if (!only) throw invalid(`user ${name} has no access key; make one with: granary user key create ${name}`);
  throw invalid(
    `user ${name} has several access keys; say which one goes: ${keys.map((key) => key.accessKey).join(", ")}`,
  );
}

async function makeKey(admin: AdminClient, target: string, flags: NewKeyFlags): Promise<void> {
  const format = formatOf(flags);
  const secretKey = await readSecret(flags.secretKey);
  const key = await admin.call<NewKeyView>("POST", target, { accessKey: flags.accessKey, secretKey });
  printAnswer(format, key, () => fields(keyRows(key)));
  if (format === "table") process.stderr.write(SECRET_NOTE);
}

async function remove(name: string, accessKey: string, flags: AdminFlags): Promise<void> {
  await (await connect(flags)).call("DELETE", path`/v1/users/${name}/keys/${accessKey}`);
  process.stdout.write(`access key ${accessKey} of user ${name} deleted\n`);
}

async function list(name: string, flags: AdminFlags & OutputFlags): Promise<void> {
  const format = formatOf(flags);
  const keys = await (await connect(flags)).call<KeyView[]>("GET", path`/v1/users/${name}/keys`);
  const rows = keys.map(({ accessKey, disabled, created }) => [
    accessKey,
    disabled ? "disabled" : "enabled",
    shortTime(created),
  ]);
  if (rows.length === 0 && format === "table") process.stderr.write(`User ${name} has no access key.\n`);
  else printAnswer(format, keys, () => printTable(["ACCESS KEY", "STATUS", "CREATED"], rows));
}
