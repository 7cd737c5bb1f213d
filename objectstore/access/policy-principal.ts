import type { Caller } from "../types.js";
import { type Directory, isUserId } from "./grantees.js";
import { malformedPolicy } from "./policy-error.js";
import { isJsonObject, type Json } from "./policy-json.js";

/** Whom a statement of a bucket policy is about. */
export interface Principals {
  /** `NotPrincipal`: everybody but these. */
  readonly negated: boolean;
  /** `"*"` or `{"AWS": "*"}`: unsigned requests too. */
  readonly everybody: boolean;
  /** Canonical user ids. */
  readonly ids: ReadonlySet<string>;
}

/** The canonical user id that a principal's text means, or undefined where nobody is meant. */
export type PrincipalResolver = (kind: "AWS" | "CanonicalUser", text: string) => string | undefined;

const ARN = "arn:aws:iam::";

function byArn(directory: Directory, arn: string): string | undefined {
  const rest = arn.slice(ARN.length);
  const colon = rest.indexOf(":");
  if (colon < 0) return undefined;
  const account = rest.slice(0, colon);
  const entity = rest.slice(colon + 1);
  const { rootUserId } = directory.settings;
  // Every user is an account of its own, named by its canonical id, and has no user under it but itself.
  if (entity === "root") {
    if (account === "") return rootUserId;
    return isUserId(directory, account) ? account : undefined;
  }
  if (!entity.startsWith("user/")) return undefined;
  const name = entity.slice(entity.lastIndexOf("/") + 1);
  const user = name === "" ? undefined : directory.identities.byName(name);
  if (!user) return undefined;
  return account === "" || account === user.id || account === rootUserId ? user.id : undefined;
}

/** Resolves against the users there are now. A policy keeps what came of it: a name used again later is somebody else. */
export function principalsIn(directory: Directory): PrincipalResolver {
  return (kind, text) => {
    if (text === "") return undefined;
    if (kind === "CanonicalUser") return isUserId(directory, text) ? text : undefined;
    if (text.startsWith("arn:")) return text.startsWith(ARN) ? byArn(directory, text) : undefined;
    return isUserId(directory, text) ? text : directory.identities.byName(text)?.id;
  };
}

/** The resolver that notes what it found, for the stored form. */
export function noting(resolver: PrincipalResolver, found: Map<string, string>): PrincipalResolver {
  return (kind, text) => {
    const id = resolver(kind, text);
    if (id !== undefined) found.set(`${kind} ${text}`, id);
    return id;
  };
}

/** The resolver of a stored policy, from what was noted. */
export function noted(found: ReadonlyMap<string, string>): PrincipalResolver {
  return (kind, text) => found.get(`${kind} ${text}`);
}

function invalid(detail: Json): Error {
  return malformedPolicy("Invalid principal in policy", typeof detail === "string" ? detail : undefined);
}

/**
 * A `Principal` or `NotPrincipal`.
 *
 * @throws S3Error MalformedPolicy
 */
export function parsePrincipals(value: Json, negated: boolean, resolver: PrincipalResolver): Principals {
  const ids = new Set<string>();
  if (value === "*") return { negated, everybody: true, ids };
  if (!isJsonObject(value) || value.size === 0) throw invalid(value);
  let everybody = false;
  for (const [kind, named] of value) {
    if (kind !== "AWS" && kind !== "CanonicalUser") throw invalid(kind);
    const texts = Array.isArray(named) ? (named as readonly Json[]) : [named];
    if (texts.length === 0) throw invalid(kind);
    for (const text of texts) {
      if (typeof text !== "string") throw invalid(kind);
      if (kind === "AWS" && text === "*") {
        everybody = true;
        continue;
      }
      const id = resolver(kind, text);
      if (id === undefined) throw invalid(text);
      ids.add(id);
    }
  }
  return { negated, everybody, ids };
}

export function isPrincipal(principals: Principals, caller: Caller): boolean {
  const named = principals.everybody || (caller.kind !== "anonymous" && principals.ids.has(caller.id));
  return named !== principals.negated;
}
