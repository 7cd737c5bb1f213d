/**
 * All users in one document: a name, an id, an e-mail address and an access key are each one user's only, and one
 * compare-and-swap over all of them is the only way to hold that without a server. Every signed request asks for a user, and
 * cannot wait for the upstream: each process has a copy, which it holds against the upstream's ETag again and again
 * (docs/decisions/014).
 */
import { invalid, messageOf, notFound, StorageError } from "../../../errors/storage-error.js";
import type { AccessKey, IdentityStore, User, UserChange } from "../../identity-store.js";
import type { Context } from "../../types.js";
import { changedUser, frozenUser, policiesByName } from "../../user-change.js";
import type { Document, Documents } from "./documents.js";
import type { Told } from "./told.js";

export const USERS_KEY = "users/all";
const FORMAT = 1;

/** How often the copy is compared. A change is seen within this and one request's time. */
const COMPARE_MS = 400;
/** A copy that could not be compared for so long is no ground to let anybody in by. */
const STALE_MS = 10_000;
const COMPARE_DEADLINE_MS = 4_000;

interface Stored {
  readonly format: typeof FORMAT;
  /** Grows with each change: no two documents are alike. */
  readonly revision: number;
  readonly users: readonly User[];
  /** Ids of users that are gone: nobody else's, ever. */
  readonly formerIds: readonly string[];
}

const NOBODY: Stored = { format: FORMAT, revision: 0, users: [], formerIds: [] };

/** What requests are answered from. */
class Copy {
  readonly etag: string;
  readonly stored: Stored;
  readonly byName: ReadonlyMap<string, User>;
  readonly byId: ReadonlyMap<string, User>;
  readonly byEmail: ReadonlyMap<string, User>;
  readonly byAccessKey: ReadonlyMap<string, { user: User; key: AccessKey }>;

  /** Users that are as they were before stay the same values. */
  constructor(etag: string, stored: Stored, before?: Copy) {
    this.etag = etag;
    this.stored = stored;
    const users = stored.users.map((user) => {
      const known = before?.byName.get(user.name);
      return known?.revision === user.revision ? known : frozenUser(user);
    });
    this.byName = new Map(users.map((user) => [user.name, user]));
    this.byId = new Map(users.map((user) => [user.id, user]));
    this.byEmail = new Map(users.filter(({ email }) => email !== "").map((user) => [user.email, user]));
    this.byAccessKey = new Map(users.flatMap((user) => user.keys.map((key) => [key.id, { user, key }] as const)));
  }
}

export interface UserSources {
  readonly documents: Documents;
  readonly told: Told;
  /** Of what is done behind requests. */
  readonly background: Omit<Context, "signal">;
  /** Who owns a bucket cannot go. */
  readonly ownedBucket: (ctx: Context, ownerId: string) => Promise<string | undefined>;
}

export class UpstreamUsers implements IdentityStore {
  readonly #sources: UserSources;
  #copy: Copy;
  /** When the request was sent that the copy was last known to be the upstream's by. */
  #comparedMs: number;
  #comparing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(sources: UserSources, document: Document, comparedMs: number) {
    this.#sources = sources;
    this.#copy = new Copy(document.etag, parse(document.text));
    this.#comparedMs = comparedMs;
    this.#compareLater();
  }

  /** @throws StorageError unavailable */
  static async open(ctx: Context, sources: UserSources): Promise<UpstreamUsers> {
    const comparedMs = performance.now();
    return new UpstreamUsers(sources, await sources.documents.readAll(ctx, USERS_KEY), comparedMs);
  }

  byAccessKey(accessKey: string): { user: User; key: AccessKey } | undefined {
    return this.#current().byAccessKey.get(accessKey);
  }

  byName(name: string): User | undefined {
    return this.#current().byName.get(name);
  }

  byId(id: string): User | undefined {
    return this.#current().byId.get(id);
  }

  byEmail(email: string): User | undefined {
    return this.#current().byEmail.get(email);
  }

  users(): User[] {
    const { byName } = this.#current();
    return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #current(): Copy {
    const ageMs = performance.now() - this.#comparedMs;
    if (ageMs < STALE_MS) return this.#copy;
    throw new StorageError(
      "unavailable",
      `who may sign requests is not known: the upstream has not answered for ${Math.round(ageMs / 1000)} s`,
    );
  }

  async create(ctx: Context, user: Omit<User, "revision">): Promise<User> {
    return this.#change(ctx, (stored) => {
      checkNew(stored, user);
      const made = frozenUser({ ...user, policies: policiesByName(user.policies), revision: nextRevision(stored) });
      return { users: [...stored.users, made], formerIds: stored.formerIds, result: made };
    });
  }

  async change(ctx: Context, name: string, change: UserChange): Promise<User> {
    return this.#change(ctx, (stored) => {
      const before = existing(stored, name);
      const changed = changedUser(before, change, nextRevision(stored));
      if (change.addKey) checkKey(stored, change.addKey.id);
      if (changed.email !== before.email && changed.email !== "") checkEmail(stored, changed.email);
      const users = stored.users.map((user) => (user.name === name ? changed : user));
      return { users, formerIds: stored.formerIds, result: changed };
    });
  }

  async delete(ctx: Context, name: string): Promise<void> {
    const { stored } = await this.#compared(ctx);
    const { id } = existing(stored, name);
    const owned = await this.#sources.ownedBucket(ctx, id);
    if (owned !== undefined)
      throw new StorageError(
        "failed-precondition",
        `user ${JSON.stringify(name)} owns bucket ${owned}: it must go first`,
      );
    await this.#change(ctx, (now) => {
      // Another user of this name meanwhile: its buckets have not been looked for.
      if (existing(now, name).id !== id) throw notFound(`user ${JSON.stringify(name)} is not there`);
      const users = now.users.filter((user) => user.name !== name);
      return { users, formerIds: [...now.formerIds, id], result: undefined };
    });
  }

  async #change<T>(
    ctx: Context,
    decide: (stored: Stored) => Pick<Stored, "users" | "formerIds"> & { result: T },
  ): Promise<T> {
    let stored = NOBODY;
    const done = await this.#sources.documents.change(ctx, USERS_KEY, ({ text }) => {
      const now = parse(text);
      const { result, users, formerIds } = decide(now);
      stored = { format: FORMAT, revision: nextRevision(now), users, formerIds };
      return { text: JSON.stringify(stored), result };
    });
    if (!done) throw new Error("a change of users was not decided");
    this.#take(done.etag, stored, performance.now());
    await this.#sources.told.changed({ kind: "users" });
    return done.result;
  }

  /** What is newer than the copy at hand, as answers overtake each other; or older, where the upstream was put back. */
  #take(etag: string, stored: Stored, sentMs: number): void {
    if (stored.revision >= this.#copy.stored.revision || sentMs > this.#comparedMs)
      this.#copy = new Copy(etag, stored, this.#copy);
    this.#comparedMs = Math.max(this.#comparedMs, sentMs);
  }

  /** Asks the upstream now. What was answered before this call is not good enough. */
  async fresh(ctx: Context): Promise<void> {
    await this.#compared(ctx);
  }

  async #compared(ctx: Context): Promise<Copy> {
    const sentMs = performance.now();
    const answer = await this.#sources.documents.read(ctx, USERS_KEY, this.#copy.etag);
    if (answer === "unchanged") this.#comparedMs = Math.max(this.#comparedMs, sentMs);
    else this.#take(answer.etag, parse(answer.text), sentMs);
    return this.#copy;
  }

  #compareLater(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      const { background } = this.#sources;
      this.#comparing = this.#compared({ ...background, signal: AbortSignal.timeout(COMPARE_DEADLINE_MS) })
        .then(() => undefined)
        .catch((error: unknown) =>
          background.log.warn(`users could not be compared with upstream: ${messageOf(error)}`),
        )
        .finally(() => this.#compareLater());
    }, COMPARE_MS);
    this.#timer.unref();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#comparing;
  }
}

function parse(text: string): Stored {
  if (text === "") return NOBODY;
  const stored = JSON.parse(text) as Stored;
  if (stored.format !== FORMAT)
    throw new StorageError("failed-precondition", `${USERS_KEY} upstream has format ${stored.format}, not ${FORMAT}`);
  return stored;
}

const nextRevision = ({ revision }: Stored): number => revision + 1;
const taken = (what: string) => new StorageError("already-exists", `${what} exists`);

function checkNew(stored: Stored, user: Omit<User, "revision">): void {
  if (user.name === "") throw invalid("user name: it must not be empty");
  if (stored.users.some(({ name }) => name === user.name)) throw taken(`user ${JSON.stringify(user.name)}`);
  if (stored.formerIds.includes(user.id) || stored.users.some(({ id }) => id === user.id))
    throw taken(`a user with the id ${JSON.stringify(user.id)}`);
  if (user.email !== "") checkEmail(stored, user.email);
  if (new Set(user.keys.map(({ id }) => id)).size !== user.keys.length)
    throw invalid("a user's access keys differ from each other");
  for (const { id } of user.keys) checkKey(stored, id);
}

function checkEmail(stored: Stored, email: string): void {
  if (stored.users.some((user) => user.email === email)) throw taken(`a user with the e-mail ${JSON.stringify(email)}`);
}

function checkKey(stored: Stored, wanted: string): void {
  if (stored.users.some(({ keys }) => keys.some(({ id }) => id === wanted)))
    throw taken(`a user with the access key ${JSON.stringify(wanted)}`);
}

function existing(stored: Stored, name: string): User {
  const user = stored.users.find((one) => one.name === name);
  if (!user) throw notFound(`user ${JSON.stringify(name)} is not there`);
  return user;
}
