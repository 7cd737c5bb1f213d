import { StorageError } from "../../src/errors/storage-error.js";
import type { Caller } from "../types.js";

export const PERMISSIONS = ["READ", "WRITE", "READ_ACP", "WRITE_ACP", "FULL_CONTROL"] as const;
export type Permission = (typeof PERMISSIONS)[number];

export const GROUPS = ["AllUsers", "AuthenticatedUsers", "LogDelivery"] as const;
export type Group = (typeof GROUPS)[number];

/** Who has the permission: a canonical user id, or one of S3's groups. */
export type Grant =
  | { readonly id: string; readonly permission: Permission }
  | { readonly group: Group; readonly permission: Permission };

/** The grants in the order they were given. Whose the resource is stands elsewhere, and is no part of it. */
export type Acl = readonly Grant[];

/** S3 user guide, "ACL overview". */
export const MAX_GRANTS = 100;

/** S3's owner of what an unsigned request stored (user guide, "ACL overview"). */
export const ANONYMOUS_ID = "65a011a29cdf8ec533ec3d1ccaae921c";

export function callerId(caller: Caller): string {
  return caller.kind === "anonymous" ? ANONYMOUS_ID : caller.id;
}

/** The default: all to the owner. Stored as null. */
export function privateAcl(ownerId: string): Acl {
  return [{ id: ownerId, permission: "FULL_CONTROL" }];
}

/** The form for `config.acl` and `attributes.acl`; null where it says what the default says. */
export function storedAcl(acl: Acl, ownerId: string): string | null {
  const [only] = acl;
  if (acl.length === 1 && only && "id" in only && only.id === ownerId && only.permission === "FULL_CONTROL")
    return null;
  return JSON.stringify({ grants: acl });
}

function damaged(stored: string): StorageError {
  return new StorageError("internal", `a stored ACL cannot be read: ${stored.slice(0, 100)}`);
}

function grantFrom(value: unknown, stored: string): Grant {
  const { id, group, permission } = (value ?? {}) as { id?: unknown; group?: unknown; permission?: unknown };
  const known = PERMISSIONS.find((name) => name === permission);
  if (known === undefined) throw damaged(stored);
  if (typeof id === "string") return { id, permission: known };
  const named = GROUPS.find((name) => name === group);
  if (named === undefined) throw damaged(stored);
  return { group: named, permission: known };
}

function parse(stored: string): Acl {
  let value: unknown;
  try {
    value = JSON.parse(stored);
  } catch {
    throw damaged(stored);
  }
  const grants = (value as { grants?: unknown } | null)?.grants;
  if (!Array.isArray(grants)) throw damaged(stored);
  return grants.map((grant) => grantFrom(grant, stored));
}

/** Objects of one writer share a few ACLs; bounded, and emptied when it is full. */
const parsed = new Map<string, Acl>();
const MAX_PARSED = 512;

/**
 * A stored ACL; null is the default of `ownerId`.
 *
 * @throws StorageError internal when it is damaged: never taken for the default
 */
export function readAcl(stored: string | null | undefined, ownerId: string): Acl {
  if (stored === null || stored === undefined) return privateAcl(ownerId);
  const known = parsed.get(stored);
  if (known) return known;
  const acl = parse(stored);
  if (parsed.size >= MAX_PARSED) parsed.clear();
  parsed.set(stored, acl);
  return acl;
}

/** S3's meaning of a public ACL: any permission to everybody, or to everybody who signs. */
export function isPublicGrant(grant: Grant): boolean {
  return "group" in grant && grant.group !== "LogDelivery";
}

/**
 * Whether an ACL gives a permission. An owner may always read and change the ACL. What an unsigned request stored, an
 * unsigned request may read, but its ACL stays closed to it: S3's anonymous user is anybody.
 */
export function permits(
  acl: Acl,
  ownerId: string,
  caller: Caller,
  permission: Exclude<Permission, "FULL_CONTROL">,
  ignorePublic: boolean,
): boolean {
  const anonymous = caller.kind === "anonymous";
  const id = callerId(caller);
  if (!anonymous && id === ownerId && (permission === "READ_ACP" || permission === "WRITE_ACP")) return true;
  for (const grant of acl) {
    if (grant.permission !== permission && grant.permission !== "FULL_CONTROL") continue;
    if ("id" in grant) {
      if (grant.id === id && (!anonymous || permission === "READ")) return true;
    } else if (!ignorePublic) {
      if (grant.group === "AllUsers") return true;
      if (grant.group === "AuthenticatedUsers" && !anonymous) return true;
    }
  }
  return false;
}
