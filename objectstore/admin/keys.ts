import { z } from "zod";
import type { AccessKey } from "../../src/engines/identity-store.js";
import { notFound } from "../../src/errors/storage-error.js";
import { didYouMean } from "../../src/model/nearest.js";
import { userOf } from "./find-user.js";
import { makeKey, newKey } from "./new-key.js";
import type { AdminCall, Route } from "./route.js";
import { keyView, newKeyView } from "./user-view.js";
import type { KeyView, NewKeyView } from "./views.js";

export const keyRoutes: readonly Route[] = [
  { method: "GET", path: "/v1/users/:user/keys", run: async (call) => userOf(call).keys.map(keyView) },
  { method: "POST", path: "/v1/users/:user/keys", run: createKey },
  { method: "POST", path: "/v1/users/:user/keys/:key/rotate", run: rotateKey },
  { method: "PATCH", path: "/v1/users/:user/keys/:key", run: changeKey },
  { method: "DELETE", path: "/v1/users/:user/keys/:key", run: deleteKey },
];

async function createKey(call: AdminCall): Promise<NewKeyView> {
  const key = makeKey(call.world, call.body(newKey));
  await call.world.identities.change(call, userOf(call).name, { addKey: key });
  return newKeyView(key);
}

/** A new key takes the place of an old one, in one step: there is no moment with both, nor one with neither. */
async function rotateKey(call: AdminCall): Promise<NewKeyView> {
  const key = makeKey(call.world, call.body(newKey));
  const old = keyOf(call);
  await call.world.identities.change(call, userOf(call).name, { removeKey: old.id, addKey: key });
  return newKeyView(key);
}

async function changeKey(call: AdminCall): Promise<KeyView[]> {
  const { disabled } = call.body(z.strictObject({ disabled: z.boolean() }));
  const { id } = keyOf(call);
  const user = await call.world.identities.change(call, userOf(call).name, { changeKey: { id, disabled } });
  return user.keys.map(keyView);
}

async function deleteKey(call: AdminCall): Promise<void> {
  await call.world.identities.change(call, userOf(call).name, { removeKey: keyOf(call).id });
}

function keyOf(call: AdminCall): AccessKey {
  const user = userOf(call);
  const wanted = call.param("key");
  const key = user.keys.find(({ id }) => id === wanted);
  if (key) return key;
  const ids = user.keys.map(({ id }) => id);
  throw notFound(
    `user ${user.name} has no access key ${JSON.stringify(wanted.slice(0, 128))}${didYouMean(wanted, ids)}`,
  );
}
