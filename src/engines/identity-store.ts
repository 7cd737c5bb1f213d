import type { Context } from "./types.js";

export interface AccessKey {
  readonly id: string;
  readonly secret: string;
  readonly createdMs: number;
  readonly disabled: boolean;
}

/** A user of the object store. Frozen, and the same value until `revision` changes. */
export interface User {
  readonly name: string;
  /** Canonical user id: what ACLs and owners name. Never used again for another user. */
  readonly id: string;
  readonly displayName: string;
  readonly email: string;
  readonly disabled: boolean;
  readonly createdMs: number;
  readonly keys: readonly AccessKey[];
  /** IAM policy documents by the name they were attached under, in name order. */
  readonly policies: readonly { readonly name: string; readonly document: string }[];
  readonly revision: number;
}

export interface UserChange {
  displayName?: string;
  email?: string;
  disabled?: boolean;
  addKey?: AccessKey;
  /** Removes the key of this id. */
  removeKey?: string;
  changeKey?: { id: string; disabled: boolean };
  attach?: { name: string; document: string };
  detach?: string;
}

/** Who may sign requests. Reads are of the moment; changes are durable when they settle. */
export interface IdentityStore {
  /** Where others change users too: reads that follow are of a moment after this call. Else they are of about a second ago. */
  fresh?(ctx: Context): Promise<void>;
  /** Local, since every signed request asks. @throws StorageError unavailable when who has which key is not known */
  byAccessKey(accessKey: string): { user: User; key: AccessKey } | undefined;
  byName(name: string): User | undefined;
  byId(id: string): User | undefined;
  byEmail(email: string): User | undefined;
  /** In name order. */
  users(): User[];
  /** @throws already-exists when the name, the id, the email or an access key is taken */
  create(ctx: Context, user: Omit<User, "revision">): Promise<User>;
  /** @throws not-found, already-exists */
  change(ctx: Context, name: string, change: UserChange): Promise<User>;
  /** @throws not-found; failed-precondition while the user owns buckets */
  delete(ctx: Context, name: string): Promise<void>;
}
