import type { User } from "../../src/engines/identity-store.js";
import { notFound } from "../../src/errors/storage-error.js";
import { didYouMean } from "../../src/model/nearest.js";
import type { AdminCall, AdminWorld } from "./route.js";

/** The path's user. @throws StorageError not-found with the name that was most likely meant */
export function userOf(call: AdminCall): User {
  return findUser(call.world, call.param("user"));
}

/** @throws StorageError not-found with the name that was most likely meant */
export function findUser({ identities, root }: AdminWorld, wanted: string): User {
  const user = identities.byName(wanted);
  if (user) return user;
  if (wanted === root.name)
    throw notFound(`${JSON.stringify(wanted)} is the root user, whose key is configured or in root-credentials.json`);
  const names = identities.users().map((known) => known.name);
  throw notFound(`there is no user ${JSON.stringify(wanted.slice(0, 64))}${didYouMean(wanted, names)}`);
}
