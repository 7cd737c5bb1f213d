import { z } from "zod";
import { invalid, StorageError } from "../../src/errors/storage-error.js";
import { ANONYMOUS_ID } from "../access/acl.js";
import { randomCanonicalId } from "../random-keys.js";
import { userOf } from "./find-user.js";
import { makeKey, newKey } from "./new-key.js";
import { checkedPolicy } from "./policy-document.js";
import type { AdminCall, AdminWorld, Route } from "./route.js";
import { newKeyView, userView } from "./user-view.js";
import type { NewKeyView, UserView } from "./views.js";

/** In ACLs, and in policies' `aws:userid`. */
const ANONYMOUS: readonly string[] = [ANONYMOUS_ID, "anonymous"];

// As IAM has it: "User names can contain up to 64 letters, digits, and these characters: plus, equal, comma, period, at,
// underscore, and hyphen".
const name = z.string().regex(/^[\w+=,.@-]{1,64}$/, "1 to 64 letters, digits and + = , . @ _ - are possible");
// Amazon's are 64 hex digits; those who bring their own from another server have names, addresses or numbers.
const id = z.string().regex(/^[\w+=,.@:$-]{1,128}$/, "1 to 128 letters, digits and + = , . @ : $ _ - are possible");
const displayName = z.string().regex(/^\P{Cc}{1,256}$/u, "1 to 256 characters and no control characters are possible");
const email = z
  .string()
  .regex(/^$|^[^\s@\p{Cc}]{1,128}@[^\s@\p{Cc}]{1,255}$/u, "must be an address, as in user@example.com");

const newUser = newKey.extend({
  name,
  id: id.optional(),
  displayName: displayName.optional(),
  email: email.optional(),
  policies: z.array(z.strictObject({ name: z.string(), document: z.string() })).optional(),
});

const change = z.strictObject({
  disabled: z.boolean().optional(),
  displayName: displayName.optional(),
  email: email.optional(),
});

export const userRoutes: readonly Route[] = [
  { method: "GET", path: "/v1/users", run: async ({ world }) => world.identities.users().map(userView) },
  { method: "POST", path: "/v1/users", run: createUser },
  { method: "GET", path: "/v1/users/:user", run: async (call) => userView(userOf(call)) },
  { method: "PATCH", path: "/v1/users/:user", run: changeUser },
  { method: "DELETE", path: "/v1/users/:user", run: deleteUser },
];

async function createUser(call: AdminCall): Promise<UserView & { key: NewKeyView }> {
  const { world } = call;
  const wanted = call.body(newUser);
  refuseReserved(world, wanted);
  const policies = (wanted.policies ?? []).map(({ name, document }) => checkedPolicy(name, document));
  const names = policies.map(({ name }) => name).sort();
  const twice = names.find((name, i) => name === names[i + 1]);
  if (twice !== undefined) throw invalid(`policies: ${JSON.stringify(twice)} comes twice`);
  const key = makeKey(world, wanted);
  const user = await world.identities.create(call, {
    name: wanted.name,
    id: wanted.id ?? randomCanonicalId(),
    displayName: wanted.displayName ?? wanted.name,
    email: wanted.email ?? "",
    disabled: false,
    createdMs: Date.now(),
    keys: [key],
    policies: policies.sort((a, b) => (a.name < b.name ? -1 : 1)),
  });
  return { ...userView(user), key: newKeyView(key) };
}

/** Who has the id of the root user, or of unsigned requests, would have what these own and are given. */
function refuseReserved({ root }: AdminWorld, { name, id = "" }: { name: string; id?: string | undefined }): void {
  for (const [field, text] of [
    ["name", name],
    ["id", id],
  ] as const) {
    const who = [root.name, root.id].includes(text)
      ? "the root user"
      : ANONYMOUS.includes(text)
        ? "anybody"
        : undefined;
    if (who !== undefined)
      throw new StorageError("already-exists", `${field}: ${JSON.stringify(text)} stands for ${who}; choose another`);
  }
}

async function changeUser(call: AdminCall): Promise<UserView> {
  const wanted = call.body(change);
  const { name } = userOf(call);
  const set = Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined));
  if (Object.keys(set).length === 0) throw invalid("say what to change: disabled, displayName or email");
  return userView(await call.world.identities.change(call, name, set));
}

async function deleteUser(call: AdminCall): Promise<void> {
  await call.world.identities.delete(call, userOf(call).name);
}
