import type { AccessKey, IdentityStore, User, UserChange } from "../../identity-store.js";
import type { Context } from "../../types.js";
import type { WriterClient } from "./client.js";
import { copyOf, type Tables } from "./tables.js";
import { decodeUser, indexKey, userKey, userRevisionIn } from "./user-records.js";

const MAX_CACHED_USERS = 10_000;

/** Users in the metadata's environment: each look is of the newest commit, and answers the same value while it stands. */
export class LocalIdentities implements IdentityStore {
  readonly #tables: Tables;
  readonly #client: WriterClient;
  readonly #users = new Map<string, User>();

  constructor(tables: Tables, client: WriterClient) {
    this.#tables = tables;
    this.#client = client;
  }

  byAccessKey(accessKey: string): { user: User; key: AccessKey } | undefined {
    const user = this.#indexed("access-key", accessKey);
    const key = user?.keys.find(({ id }) => id === accessKey);
    return user && key && { user, key };
  }

  byName(name: string): User | undefined {
    this.#tables.root.resetReadTxn();
    return this.#named(name);
  }

  byId(id: string): User | undefined {
    return this.#indexed("id", id);
  }

  byEmail(email: string): User | undefined {
    return email === "" ? undefined : this.#indexed("email", email);
  }

  users(): User[] {
    this.#tables.root.resetReadTxn();
    return [...this.#tables.users.getRange({})].map(({ value }) => decodeUser(value));
  }

  create(ctx: Context, user: Omit<User, "revision">): Promise<User> {
    return this.#client.call("createUser", user, ctx);
  }

  change(ctx: Context, name: string, change: UserChange): Promise<User> {
    return this.#client.call("changeUser", { name, change }, ctx);
  }

  async delete(ctx: Context, name: string): Promise<void> {
    await this.#client.call("deleteUser", { name }, ctx);
  }

  #indexed(kind: "access-key" | "id" | "email", text: string): User | undefined {
    const key = indexKey(kind, text);
    if (!key) return undefined;
    this.#tables.root.resetReadTxn();
    const name = copyOf(this.#tables.userIndex, key);
    return name && this.#named(name.toString());
  }

  #named(name: string): User | undefined {
    const key = userKey(name);
    const record = key && this.#tables.users.getBinaryFast(key);
    if (!record) {
      this.#users.delete(name);
      return undefined;
    }
    const known = this.#users.get(name);
    if (known?.revision === userRevisionIn(record)) return known;
    const user = decodeUser(record);
    if (this.#users.size >= MAX_CACHED_USERS) this.#users.clear();
    this.#users.set(name, user);
    return user;
  }
}
