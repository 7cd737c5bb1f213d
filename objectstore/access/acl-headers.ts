import { S3Error } from "../../src/errors/s3-error.js";
import { type Acl, type Grant, MAX_GRANTS, type Permission, privateAcl } from "./acl.js";
import { type Directory, groupByUri, idByEmail, knownId } from "./grantees.js";

/** S3 user guide, "Canned ACL". Those with `bucket-owner` and `log-delivery` are for one kind of resource. */
const CANNED = {
  private: "both",
  "public-read": "both",
  "public-read-write": "both",
  "authenticated-read": "both",
  "aws-exec-read": "both",
  "bucket-owner-read": "object",
  "bucket-owner-full-control": "object",
  "log-delivery-write": "bucket",
} as const;

export type CannedAcl = keyof typeof CANNED;

const GRANT_HEADERS = {
  "x-amz-grant-full-control": "FULL_CONTROL",
  "x-amz-grant-read": "READ",
  "x-amz-grant-read-acp": "READ_ACP",
  "x-amz-grant-write": "WRITE",
  "x-amz-grant-write-acp": "WRITE_ACP",
} as const satisfies Record<string, Permission>;

type Headers = ReadonlyMap<string, string>;

/** Whose resource an ACL is of. A bucket is its own bucket. */
export interface Owned {
  readonly kind: "bucket" | "object";
  readonly ownerId: string;
  readonly bucketOwnerId: string;
}

function badArgument(name: string, value: string, message?: string): S3Error {
  return new S3Error("InvalidArgument", message, { fields: { ArgumentName: name, ArgumentValue: value } });
}

function isCanned(name: string): name is CannedAcl {
  return Object.hasOwn(CANNED, name);
}

/** A canned ACL for a bucket is ignored where it is one for objects, as at Amazon. */
function cannedAcl(name: CannedAcl, owned: Owned): Acl {
  const mine = privateAcl(owned.ownerId);
  const foreign = owned.kind === "object" && owned.bucketOwnerId !== owned.ownerId;
  switch (name) {
    case "private":
    // Its grantee is Amazon EC2, which is not here.
    case "aws-exec-read":
      return mine;
    case "public-read":
      return [...mine, { group: "AllUsers", permission: "READ" }];
    case "public-read-write":
      return [...mine, { group: "AllUsers", permission: "READ" }, { group: "AllUsers", permission: "WRITE" }];
    case "authenticated-read":
      return [...mine, { group: "AuthenticatedUsers", permission: "READ" }];
    case "bucket-owner-read":
      return foreign ? [...mine, { id: owned.bucketOwnerId, permission: "READ" }] : mine;
    case "bucket-owner-full-control":
      return foreign ? [...mine, { id: owned.bucketOwnerId, permission: "FULL_CONTROL" }] : mine;
    case "log-delivery-write":
      return [...mine, { group: "LogDelivery", permission: "WRITE" }, { group: "LogDelivery", permission: "READ_ACP" }];
  }
}

/** `id="1", uri="http://..."`: split at the commas that are not in quotes. */
function grantees(header: string, value: string): [type: string, grantee: string][] {
  const bad = () => badArgument(header, value, "Argument format not recognized");
  const found: [string, string][] = [];
  let at = 0;
  while (at < value.length) {
    const equals = value.indexOf("=", at);
    if (equals < 0) throw bad();
    const type = value.slice(at, equals).trim().toLowerCase();
    let from = equals + 1;
    while (value[from] === " ") from += 1;
    const quote = value[from] === '"' || value[from] === "'" ? value[from] : undefined;
    let end: number;
    if (quote === undefined) {
      end = value.indexOf(",", from);
      if (end < 0) end = value.length;
      found.push([type, value.slice(from, end).trim()]);
    } else {
      end = value.indexOf(quote, from + 1);
      if (end < 0) throw bad();
      found.push([type, value.slice(from + 1, end)]);
      end += 1;
      while (value[end] === " ") end += 1;
      if (end < value.length && value[end] !== ",") throw bad();
    }
    at = end + 1;
    if (found.length > MAX_GRANTS)
      throw badArgument(header, value.slice(0, 100), `An ACL has at most ${MAX_GRANTS} grants`);
  }
  if (found.length === 0) throw bad();
  return found;
}

function grantsOf(directory: Directory, headers: Headers): Grant[] {
  const grants: Grant[] = [];
  for (const [header, permission] of Object.entries(GRANT_HEADERS)) {
    const value = headers.get(header);
    if (value === undefined) continue;
    for (const [type, grantee] of grantees(header, value)) {
      switch (type) {
        case "id":
          grants.push({ id: knownId(directory, grantee), permission });
          break;
        case "uri":
          grants.push({ group: groupByUri(grantee), permission });
          break;
        case "emailaddress":
          grants.push({ id: idByEmail(directory, grantee), permission });
          break;
        default:
          throw badArgument(header, value, "Argument format not recognized");
      }
    }
  }
  return grants;
}

function same(one: Grant, other: Grant): boolean {
  if (one.permission !== other.permission) return false;
  return "id" in one ? "id" in other && one.id === other.id : "group" in other && one.group === other.group;
}

/**
 * Grants without those given twice, held to the limit.
 *
 * @throws S3Error MalformedACLError
 */
export function checkedGrants(grants: readonly Grant[]): Acl {
  if (grants.length > MAX_GRANTS) throw new S3Error("MalformedACLError", `An ACL has at most ${MAX_GRANTS} grants`);
  return grants.filter((grant, index) => grants.findIndex((other) => same(grant, other)) === index);
}

export function hasGrantHeaders(headers: Headers): boolean {
  for (const header in GRANT_HEADERS) if (headers.has(header)) return true;
  return false;
}

export function hasAclHeaders(headers: Headers): boolean {
  return headers.has("x-amz-acl") || hasGrantHeaders(headers);
}

/**
 * Whether a write needs `s3:PutObjectAcl` (a bucket's creation `s3:PutBucketAcl`) beside its own action. `private` is what
 * there is without a header: tools send it with every write, and it gives nobody anything.
 */
export function needsAclPermission(headers: Headers): boolean {
  return hasGrantHeaders(headers) || (headers.get("x-amz-acl") ?? "private") !== "private";
}

/**
 * The canned ACL that the headers name; undefined without one.
 *
 * @throws S3Error InvalidArgument; InvalidRequest where there are grants beside it
 */
export function cannedOf(headers: Headers, kind: Owned["kind"]): CannedAcl | undefined {
  const name = headers.get("x-amz-acl");
  if (name === undefined) return undefined;
  if (!isCanned(name) || (kind === "object" && CANNED[name] === "bucket")) throw badArgument("x-amz-acl", name);
  if (hasGrantHeaders(headers)) {
    throw new S3Error("InvalidRequest", "Specifying both Canned ACLs and Header Grants is not allowed");
  }
  return name;
}

/**
 * The ACL that `x-amz-acl` or `x-amz-grant-*` ask for; undefined where they ask for none.
 *
 * @throws S3Error InvalidArgument, InvalidRequest, UnresolvableGrantByEmailAddress, MalformedACLError
 */
export function aclFromHeaders(directory: Directory, headers: Headers, owned: Owned): Acl | undefined {
  const canned = cannedOf(headers, owned.kind);
  if (canned !== undefined) return cannedAcl(canned, owned);
  if (!hasGrantHeaders(headers)) return undefined;
  return checkedGrants(grantsOf(directory, headers));
}
