import type { TLSSocket } from "node:tls";
import type { Pairs } from "../../src/model/object.js";
import { parseIsoTime } from "../iso-time.js";
import { tagsFromHeader } from "../tags.js";
import type { AccessQuestion } from "./access-question.js";

/** What a request says under a condition key; undefined where it says nothing. */
export type KeyReader = (question: AccessQuestion) => readonly string[] | undefined;

const DAY_MS = 86_400_000;

const one = (value: string | undefined): readonly string[] | undefined => (value === undefined ? undefined : [value]);
const fromHeader =
  (header: string): KeyReader =>
  ({ request }) =>
    one(request.headers.get(header));
/**
 * A POST to a bucket is a form (or DeleteObjects): what it asks for stands in its fields, which the operation says in the
 * need. Its headers say nothing of the object, and must not pass for what the form lacks.
 */
function isForm({ request }: AccessQuestion): boolean {
  return request.method === "POST" && request.key === undefined;
}

const ofWrite =
  (header: string): KeyReader =>
  (question) =>
    isForm(question) ? undefined : one(question.request.headers.get(header));
const fromQuery =
  (name: string): KeyReader =>
  ({ request }) =>
    one(request.query.get(name));
const never: KeyReader = () => undefined;

/** `s3:x-amz-acl` ...: the header is the key without its prefix. */
const HEADER_KEYS = `
  x-amz-acl x-amz-copy-source x-amz-grant-full-control x-amz-grant-read x-amz-grant-read-acp x-amz-grant-write
  x-amz-grant-write-acp x-amz-metadata-directive x-amz-object-ownership x-amz-server-side-encryption
  x-amz-server-side-encryption-aws-kms-key-id x-amz-server-side-encryption-customer-algorithm x-amz-storage-class
  x-amz-website-redirect-location if-match if-none-match`;

/** Keys that S3 knows and that no request here has: there are no VPCs, organizations, roles, services or access points. */
const ABSENT_KEYS = `
  aws:SourceVpc aws:SourceVpce aws:VpcSourceIp aws:SourceArn aws:SourceAccount aws:SourceOwner aws:SourceOrgID
  aws:SourceOrgPaths aws:PrincipalOrgID aws:PrincipalOrgPaths aws:PrincipalServiceName aws:PrincipalServiceNamesList
  aws:ResourceOrgID aws:ResourceOrgPaths aws:MultiFactorAuthPresent aws:MultiFactorAuthAge aws:FederatedProvider
  aws:TokenIssueTime aws:CalledVia aws:CalledViaFirst aws:CalledViaLast aws:SourceIdentity aws:Ec2InstanceSourceVpc
  aws:Ec2InstanceSourcePrivateIPv4 aws:AssumedRoot aws:TagKeys s3:DataAccessPointAccount s3:DataAccessPointArn
  s3:AccessPointNetworkOrigin s3:AccessGrantsInstanceArn`;

/** Key families of which each member has the tag's name behind the slash, and is absent here. */
const ABSENT_FAMILIES = ["aws:principaltag/", "aws:resourcetag/", "aws:requesttag/"];

/** The ARN of who asks; Granary has no account numbers. Undefined for unsigned requests. */
export function principalArn({ caller }: AccessQuestion): string | undefined {
  switch (caller.kind) {
    case "anonymous":
      return undefined;
    case "root":
      return "arn:aws:iam:::root";
    case "user":
      return `arn:aws:iam:::user/${caller.name}`;
  }
}

const PRINCIPAL_TYPES = { anonymous: "Anonymous", root: "Account", user: "User" } as const;

/** S3's wire word for the method of the signature; unsigned requests have none. */
function authType({ auth }: AccessQuestion): readonly string[] | undefined {
  return auth.type === "anonymous" ? undefined : [auth.type];
}

/** `TLSv1.3` is 1.3; a numeric key. */
function tlsVersion({ request }: AccessQuestion): readonly string[] | undefined {
  if (!request.secure) return undefined;
  const protocol = (request.message.socket as Partial<TLSSocket>).getProtocol?.();
  return protocol?.startsWith("TLSv") ? [protocol.slice(4)] : undefined;
}

/** Presigned requests need not say that their payload is unsigned. */
function contentSha256({ request, auth }: AccessQuestion): readonly string[] | undefined {
  const said = request.headers.get("x-amz-content-sha256") ?? request.query.get("X-Amz-Content-Sha256");
  if (said !== undefined) return [said];
  return auth.type !== "anonymous" && auth.payload.kind === "unsigned" ? ["UNSIGNED-PAYLOAD"] : undefined;
}

/** The version that the action is on, where it is an action on versions; else the one that the query names. */
function versionId({ request, need }: AccessQuestion): readonly string[] | undefined {
  const looked = need.action.includes("Version") ? need.object?.versionId : undefined;
  return one(looked ?? request.query.get("versionId"));
}

function retainUntil(question: AccessQuestion): string | undefined {
  const given = question.need.conditions?.().get("s3:object-lock-retain-until-date");
  return (given ?? ofWrite("x-amz-object-lock-retain-until-date")(question))?.[0];
}

function remainingRetentionDays(question: AccessQuestion): readonly string[] | undefined {
  const text = retainUntil(question);
  const untilMs = text === undefined ? undefined : parseIsoTime(text);
  return untilMs === undefined ? undefined : [String(Math.ceil((untilMs - Date.now()) / DAY_MS))];
}

/** Whether the request makes the object visible: parts and the start of an upload do not (user guide, "Enforce conditional writes"). */
function objectCreation({ request, need }: AccessQuestion): readonly string[] | undefined {
  if (need.action !== "s3:PutObject") return undefined;
  return [String(!request.query.has("uploads") && !request.query.has("partNumber"))];
}

function requestTags(question: AccessQuestion): Pairs {
  const header = ofWrite("x-amz-tagging")(question)?.[0];
  return header === undefined ? [] : tagsFromHeader(header);
}

/** Condition keys compare without case, the tag's name in them too: of tags that differ in case alone, all values count. */
function valuesOfTag(tags: Pairs, lowerKey: string): readonly string[] | undefined {
  const values = tags.filter(([name]) => name.toLowerCase() === lowerKey).map(([, value]) => value);
  return values.length === 0 ? undefined : values;
}

function fixedKeys(): ReadonlyMap<string, KeyReader> {
  const keys = new Map<string, KeyReader>([
    ["aws:sourceip", ({ request }) => one(request.clientAddress)],
    ["aws:securetransport", ({ request }) => [String(request.secure)]],
    ["aws:currenttime", () => [new Date().toISOString()]],
    ["aws:epochtime", () => [String(Math.floor(Date.now() / 1000))]],
    ["aws:referer", fromHeader("referer")],
    ["aws:useragent", fromHeader("user-agent")],
    ["aws:username", ({ caller }) => (caller.kind === "user" ? [caller.name] : undefined)],
    ["aws:userid", ({ caller }) => (caller.kind === "anonymous" ? ["anonymous"] : [caller.id])],
    ["aws:principaltype", ({ caller }) => [PRINCIPAL_TYPES[caller.kind]]],
    ["aws:principalarn", (question) => one(principalArn(question))],
    ["aws:principalaccount", ({ caller }) => (caller.kind === "anonymous" ? undefined : [caller.id])],
    ["aws:principalisawsservice", () => ["false"]],
    ["aws:viaawsservice", () => ["false"]],
    ["aws:requestedregion", ({ settings }) => [settings.region]],
    ["aws:resourceaccount", ({ bucket }) => one(bucket?.ownerId)],
    ["s3:resourceaccount", ({ bucket }) => one(bucket?.ownerId)],
    ["s3:prefix", fromQuery("prefix")],
    ["s3:delimiter", fromQuery("delimiter")],
    ["s3:max-keys", fromQuery("max-keys")],
    ["s3:versionid", versionId],
    ["s3:x-amz-content-sha256", contentSha256],
    ["s3:requestobjecttagkeys", (question) => requestTags(question).map(([name]) => name)],
    ["s3:object-lock-mode", ofWrite("x-amz-object-lock-mode")],
    ["s3:object-lock-legal-hold", ofWrite("x-amz-object-lock-legal-hold")],
    ["s3:object-lock-retain-until-date", (question) => one(retainUntil(question))],
    ["s3:object-lock-remaining-retention-days", remainingRetentionDays],
    ["s3:signatureversion", ({ auth }) => (auth.signatureVersion === "" ? undefined : [auth.signatureVersion])],
    ["s3:signatureage", ({ auth }) => (auth.type === "anonymous" ? undefined : [String(auth.signatureAgeMs)])],
    ["s3:authtype", authType],
    ["s3:tlsversion", tlsVersion],
    // Of CreateBucket's body, which the operation reads.
    ["s3:locationconstraint", never],
    ["s3:objectcreationoperation", objectCreation],
  ]);
  for (const header of HEADER_KEYS.trim().split(/\s+/)) keys.set(`s3:${header}`, ofWrite(header));
  for (const name of ABSENT_KEYS.trim().split(/\s+/)) keys.set(name.toLowerCase(), never);
  return keys;
}

const FIXED = fixedKeys();
const EXISTING_TAG = "s3:existingobjecttag/";
const REQUEST_TAG = "s3:requestobjecttag/";

function derived(lower: string): KeyReader | undefined {
  const fixed = FIXED.get(lower);
  if (fixed) return fixed;
  if (lower.startsWith(EXISTING_TAG) && lower.length > EXISTING_TAG.length) {
    const key = lower.slice(EXISTING_TAG.length);
    return ({ need }) => (need.object ? valuesOfTag(need.object.attributes.tags, key) : undefined);
  }
  if (lower.startsWith(REQUEST_TAG) && lower.length > REQUEST_TAG.length) {
    const key = lower.slice(REQUEST_TAG.length);
    return (question) => valuesOfTag(requestTags(question), key);
  }
  return ABSENT_FAMILIES.some((family) => lower.startsWith(family) && lower.length > family.length) ? never : undefined;
}

/**
 * The conditions of an action whose tags come in a body or a form (PutObjectTagging, PostObject); those of `x-amz-tagging`
 * are read without it.
 */
export function tagConditions(tags: Pairs): Map<string, readonly string[]> {
  const conditions = new Map<string, readonly string[]>([["s3:requestobjecttagkeys", tags.map(([name]) => name)]]);
  for (const [name] of tags) {
    const lower = name.toLowerCase();
    conditions.set(REQUEST_TAG + lower, valuesOfTag(tags, lower) ?? []);
  }
  return conditions;
}

/**
 * How a condition key is read: what the operation says of it (`Need.conditions`), else what the request itself says.
 * Undefined for a key that S3 does not know.
 */
export function conditionKey(name: string): KeyReader | undefined {
  const lower = name.toLowerCase();
  const read = derived(lower);
  return read && ((question) => question.need.conditions?.().get(lower) ?? read(question));
}
