import { invalid, notFound, StorageError } from "../../../../errors/storage-error.js";
import type { User } from "../../../identity-store.js";
import { changedUser, frozenUser, policiesByName } from "../../../user-change.js";
import { decodeBucket } from "../bucket-records.js";
import type { Operations } from "../protocol.js";
import { copyOf } from "../tables.js";
import { decodeUser, encodeUser, indexKey, userKey } from "../user-records.js";
import type { Store } from "./store.js";

type IndexKind = "access-key" | "id" | "email";

/** A user's id outlives the user in the index, with this for its name: it is nobody else's, ever. */
const NOBODY = Buffer.from("\0");

export function createUser(store: Store, request: Operations["createUser"]["request"]): User {
  const key = userKey(request.name);
  if (!key) throw invalid(`user name ${JSON.stringify(request.name)}: it must have 1 to 1024 bytes`);
  if (store.tables.users.doesExist(key)) throw taken(`user ${JSON.stringify(request.name)}`);
  checkFree(store, "id", request.id);
  if (request.email !== "") checkFree(store, "email", request.email);
  const keys = new Set(request.keys.map(({ id }) => id));
  if (keys.size !== request.keys.length) throw invalid("a user's access keys differ from each other");
  for (const id of keys) checkFree(store, "access-key", id);
  const user = frozenUser({ ...request, policies: policiesByName(request.policies), revision: store.nextSequence() });
  index(store, "id", user.id, user.name);
  if (user.email !== "") index(store, "email", user.email, user.name);
  for (const id of keys) index(store, "access-key", id, user.name);
  store.tables.users.putSync(key, encodeUser(user));
  return user;
}

const taken = (what: string) => new StorageError("already-exists", `${what} exists`);

/** @throws already-exists */
function checkFree(store: Store, kind: IndexKind, text: string): void {
  const key = indexKey(kind, text);
  if (!key) throw invalid(`${kind} is too long`);
  if (store.tables.userIndex.doesExist(key)) throw taken(`a user with the ${kind} ${JSON.stringify(text)}`);
}

const index = (store: Store, kind: IndexKind, text: string, name: string): void =>
  store.tables.userIndex.putSync(indexKey(kind, text) as Buffer, Buffer.from(name));

const unindex = (store: Store, kind: IndexKind, text: string): void =>
  void store.tables.userIndex.removeSync(indexKey(kind, text) as Buffer);

function existing(store: Store, name: string): User {
  const key = userKey(name);
  const record = key && copyOf(store.tables.users, key);
  if (!record) throw notFound(`user ${JSON.stringify(name)} is not there`);
  return decodeUser(record);
}

export function changeUser(store: Store, { name, change }: Operations["changeUser"]["request"]): User {
  const before = existing(store, name);
  const { addKey, email } = change;
  const changed = changedUser(before, change, store.nextSequence());
  if (addKey) checkFree(store, "access-key", addKey.id);
  if (email !== undefined && email !== before.email) {
    if (email !== "") checkFree(store, "email", email);
    if (before.email !== "") unindex(store, "email", before.email);
    if (email !== "") index(store, "email", email, name);
  }
  if (addKey) index(store, "access-key", addKey.id, name);
  if (change.removeKey !== undefined) unindex(store, "access-key", change.removeKey);
  store.tables.users.putSync(userKey(name) as Buffer, encodeUser(changed));
  return changed;
}

export function deleteUser(store: Store, { name }: { name: string }): null {
  const user = existing(store, name);
  for (const { value } of store.tables.buckets.getRange({}))
    if (decodeBucket(value).ownerId === user.id)
      throw new StorageError(
        "failed-precondition",
        `user ${JSON.stringify(name)} owns bucket ${decodeBucket(value).name}: it must go first`,
      );
  store.tables.users.removeSync(userKey(name) as Buffer);
  for (const { id } of user.keys) unindex(store, "access-key", id);
  if (user.email !== "") unindex(store, "email", user.email);
  store.tables.userIndex.putSync(indexKey("id", user.id) as Buffer, NOBODY);
  return null;
}
