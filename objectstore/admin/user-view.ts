import type { AccessKey, User } from "../../src/engines/identity-store.js";
import type { KeyView, NewKeyView, UserView } from "./views.js";

export function userView(user: User): UserView {
  const { name, id, displayName, email, disabled, createdMs, keys, policies } = user;
  return {
    ...{ name, id, displayName, email, disabled },
    created: new Date(createdMs).toISOString(),
    keys: keys.map(keyView),
    policies: policies.map(({ name, document }) => ({ name, document: JSON.parse(document) as unknown })),
  };
}

export const keyView = ({ id, createdMs, disabled }: AccessKey): KeyView => ({
  accessKey: id,
  created: new Date(createdMs).toISOString(),
  disabled,
});

/** With the secret: for the answer to what made it, and nothing else. */
export const newKeyView = (key: AccessKey): NewKeyView => ({ ...keyView(key), secretKey: key.secret });
