import { Command } from "commander";
import type { NewKeyView, NewUser, UserView } from "../../objectstore/admin/views.js";
import { invalid } from "../errors/storage-error.js";
import {
  type AdminFlags,
  addAdminFlags,
  addOutputFlag,
  connect,
  fields,
  formatOf,
  type OutputFlags,
  printAnswer,
} from "./admin-flags.js";
import { collect } from "./object-flags.js";
import { POLICY_WORDS, readPolicy } from "./policy-source.js";
import { keyRows, readSecret, SECRET_NOTE } from "./secret-flags.js";

interface CreateFlags extends AdminFlags, OutputFlags {
  id?: string;
  displayName?: string;
  email?: string;
  accessKey?: string;
  secretKey?: string;
  policy?: string[];
}

const HELP = `
Without --policy the user makes buckets and objects of its own, and reaches those of others as their policies and ACLs
allow. A policy adds rights on every bucket that it names; what the user owns stays its own.

Examples:
  granary user create alice --policy readwrite
  granary user create backup --policy ./backup-policy.json -o json`;

/** `granary user create NAME`. */
export function userCreateCommand(): Command {
  const command = new Command("create")
    .description("make a user with an access key; the secret is printed this once")
    .argument("<name>", "the user's name: letters, digits and + = , . @ _ -")
    .option("--id <id>", "the canonical user id, which ACLs name (default: 64 random hex digits)")
    .option("--display-name <text>", "the name that listings show (default: the name)")
    .option("--email <address>", "the address that ACLs may name the user by")
    .option("--access-key <key>", "an access key of your own (default: random)")
    .option("--secret-key <secret>", "a secret of your own, or - to read it from stdin (default: random)")
    .option("--policy <file-or-name>", `${POLICY_WORDS}; may be repeated`, collect)
    .addHelpText("after", HELP);
  return addAdminFlags(addOutputFlag(command)).action(create);
}

async function create(name: string, flags: CreateFlags): Promise<void> {
  const format = formatOf(flags);
  if (name === "") throw invalid("NAME: 1 to 64 letters, digits and + = , . @ _ - are possible");
  const { id, displayName, email, accessKey } = flags;
  const policies = await Promise.all((flags.policy ?? []).map((word) => readPolicy(word)));
  const secretKey = await readSecret(flags.secretKey);
  const wanted: NewUser = { name, id, displayName, email, accessKey, secretKey, policies };
  const admin = await connect(flags);
  const { key, keys: _keys, ...user } = await admin.call<UserView & { key: NewKeyView }>("POST", "/v1/users", wanted);
  printAnswer(format, { ...user, accessKey: key.accessKey, secretKey: key.secretKey }, () =>
    fields([["user", user.name], ["id", user.id], ...keyRows(key)]),
  );
  if (format === "table") process.stderr.write(SECRET_NOTE);
}
