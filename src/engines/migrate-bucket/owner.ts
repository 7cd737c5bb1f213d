import { StorageError } from "../../errors/storage-error.js";
import type { IdentityStore } from "../identity-store.js";
import type { Context } from "../types.js";

/**
 * Makes the bucket's owner known where the bucket goes: the same name, canonical id, access keys and policies, so that
 * what signs requests today signs them there. The root user is everywhere already.
 *
 * @returns whether the user had to be made
 * @throws StorageError already-exists when the name or an access key is another user's there
 */
export async function takeOverOwner(
  ctx: Context,
  from: IdentityStore,
  to: IdentityStore,
  ownerId: string,
): Promise<boolean> {
  const owner = from.byId(ownerId);
  if (owner === undefined || to.byId(ownerId) !== undefined) return false;
  const { revision: _own, ...user } = owner;
  try {
    await to.create(ctx, user);
  } catch (error) {
    if (!(error instanceof StorageError) || error.code !== "already-exists") throw error;
    throw new StorageError(
      "already-exists",
      `the bucket's owner ${owner.name} cannot be made in the target: its name, email or an access key is another user's there`,
      { cause: error },
    );
  }
  return true;
}
