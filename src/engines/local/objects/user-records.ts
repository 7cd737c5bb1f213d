import type { User } from "../../identity-store.js";
import { frozenUser } from "../../user-change.js";
import { readU64, writeU64 } from "./codec.js";

/** A user's record: the revision, and the rest as JSON: it is parsed once for a revision. */
const REST_AT = 8;

export function encodeUser(user: User): Buffer {
  const rest = Buffer.from(JSON.stringify(user));
  const bytes = Buffer.allocUnsafe(REST_AT + rest.length);
  writeU64(bytes, user.revision, 0);
  bytes.set(rest, REST_AT);
  return bytes;
}

export const userRevisionIn = (record: Buffer): number => readU64(record, 0);

export function decodeUser(record: Buffer): User {
  return frozenUser(JSON.parse(record.toString("utf8", REST_AT)) as User);
}

const MAX_INDEXED_BYTES = 1024;

/** Keys of `userIndex`: what a user is found by. Undefined: too long to be anybody's. */
export function indexKey(kind: "access-key" | "id" | "email", text: string): Buffer | undefined {
  const key = Buffer.from(`${kind} ${text}`);
  return key.length > MAX_INDEXED_BYTES ? undefined : key;
}

/** The key of `users`. */
export function userKey(name: string): Buffer | undefined {
  const key = Buffer.from(name);
  return key.length === 0 || key.length > MAX_INDEXED_BYTES ? undefined : key;
}
