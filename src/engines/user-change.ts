import { notFound } from "../errors/storage-error.js";
import type { AccessKey, User, UserChange } from "./identity-store.js";

/**
 * The user with what a change sets. Whether a new key or e-mail is somebody else's is the store's to say.
 *
 * @throws StorageError not-found for a key or policy that the user has not
 */
export function changedUser(before: User, change: UserChange, revision: number): User {
  return frozenUser({
    ...before,
    displayName: change.displayName ?? before.displayName,
    email: change.email ?? before.email,
    disabled: change.disabled ?? before.disabled,
    keys: changedKeys(before.keys, change),
    policies: changedPolicies(before.policies, change),
    revision,
  });
}

function changedKeys(keys: readonly AccessKey[], { addKey, removeKey, changeKey }: UserChange): readonly AccessKey[] {
  for (const id of [removeKey, changeKey?.id])
    if (id !== undefined && !keys.some((key) => key.id === id))
      throw notFound(`the user has no access key ${JSON.stringify(id)}`);
  const kept = keys
    .filter(({ id }) => id !== removeKey)
    .map((key) => (key.id === changeKey?.id ? { ...key, disabled: changeKey.disabled } : key));
  return addKey ? [...kept, addKey] : kept;
}

function changedPolicies(policies: User["policies"], { attach, detach }: UserChange): User["policies"] {
  if (detach !== undefined && !policies.some(({ name }) => name === detach))
    throw notFound(`the user has no policy ${JSON.stringify(detach)}`);
  const kept = policies.filter(({ name }) => name !== detach && name !== attach?.name);
  return attach ? policiesByName([...kept, attach]) : kept;
}

export const policiesByName = (policies: User["policies"]): User["policies"] =>
  [...policies].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));

export function frozenUser(user: User): User {
  return Object.freeze({
    ...user,
    keys: Object.freeze(user.keys.map((key) => Object.freeze(key))),
    policies: Object.freeze(user.policies.map((policy) => Object.freeze(policy))),
  });
}
