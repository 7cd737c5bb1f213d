import type { IdentityStore } from "../../src/engines/identity-store.js";
import { S3Error } from "../../src/errors/s3-error.js";
import type { GatewaySettings } from "../types.js";
import { ANONYMOUS_ID, type Group } from "./acl.js";

/** Where grantees are looked up; a RequestContext is one. */
export interface Directory {
  readonly identities: Pick<IdentityStore, "byId" | "byName" | "byEmail">;
  readonly settings: Pick<GatewaySettings, "rootUserId">;
}

export const GROUP_URIS: Readonly<Record<Group, string>> = {
  AllUsers: "http://acs.amazonaws.com/groups/global/AllUsers",
  AuthenticatedUsers: "http://acs.amazonaws.com/groups/global/AuthenticatedUsers",
  LogDelivery: "http://acs.amazonaws.com/groups/s3/LogDelivery",
};

export function isUserId(directory: Directory, id: string): boolean {
  return id === directory.settings.rootUserId || id === ANONYMOUS_ID || directory.identities.byId(id) !== undefined;
}

/** @throws S3Error InvalidArgument */
export function knownId(directory: Directory, id: string): string {
  if (isUserId(directory, id)) return id;
  throw new S3Error("InvalidArgument", "Invalid id", {
    fields: { ArgumentName: "CanonicalUser/ID", ArgumentValue: id },
  });
}

/** @throws S3Error UnresolvableGrantByEmailAddress */
export function idByEmail(directory: Directory, email: string): string {
  // A user without an email must not be found by the empty one.
  const user = email === "" ? undefined : directory.identities.byEmail(email);
  if (user) return user.id;
  throw new S3Error("UnresolvableGrantByEmailAddress", undefined, { fields: { EmailAddress: email } });
}

/** @throws S3Error InvalidArgument */
export function groupByUri(uri: string): Group {
  for (const [group, known] of Object.entries(GROUP_URIS)) if (known === uri) return group as Group;
  throw new S3Error("InvalidArgument", "Invalid group uri", {
    fields: { ArgumentName: "Group/URI", ArgumentValue: uri },
  });
}

/** What owners and grantees are called in answers; undefined where nobody has the id (any more). */
export function displayName(directory: Directory, id: string): string | undefined {
  if (id === directory.settings.rootUserId) return "root";
  if (id === ANONYMOUS_ID) return "anonymous";
  return directory.identities.byId(id)?.displayName;
}
