import { ACTIONS } from "./actions.js";
import { globMatcher, globTokens } from "./glob.js";
import { type Condition, parseConditions } from "./policy-condition.js";
import { malformedPolicy } from "./policy-error.js";
import { isJsonObject, type Json, JsonError, type JsonObject, parsePolicyJson } from "./policy-json.js";
import { type PrincipalResolver, type Principals, parsePrincipals } from "./policy-principal.js";
import { parseResource, type Resource } from "./policy-resource.js";

/** S3 user guide, "Bucket policies": 20 KB; users' policies are held to the same. */
export const MAX_POLICY_BYTES = 20 * 1024;

export interface Statement {
  readonly effect: "Allow" | "Deny";
  /** Undefined in a user's policy, which is about that user. */
  readonly principals: Principals | undefined;
  /** All that `Action` names, or all that `NotAction` does not. */
  readonly actions: ReadonlySet<string>;
  readonly notActions: boolean;
  readonly resources: readonly Resource[];
  readonly notResources: boolean;
  readonly conditions: readonly Condition[];
}

/** What kind of policy a document is: a bucket's, about others, or a user's, about itself. */
export type PolicyKind =
  | { readonly kind: "bucket"; readonly bucket: string; readonly resolver: PrincipalResolver }
  | { readonly kind: "identity" };

const VERSIONS = ["2012-10-17", "2008-10-17"];
const ELEMENTS = new Set(["Version", "Id", "Statement"]);
const STATEMENT_ELEMENTS = new Set([
  "Sid",
  "Effect",
  "Principal",
  "NotPrincipal",
  "Action",
  "NotAction",
  "Resource",
  "NotResource",
  "Condition",
]);

function expectElements(object: JsonObject, known: ReadonlySet<string>): void {
  for (const name of object.keys()) {
    if (!known.has(name)) throw malformedPolicy(`Unknown field ${name.slice(0, 100)}`, name);
  }
}

/** Of `Name` and `NotName` the one that is there. */
function either(statement: JsonObject, name: string): { value: Json; negated: boolean } | undefined {
  const plain = statement.get(name);
  const negated = statement.get(`Not${name}`);
  if (plain !== undefined && negated !== undefined) {
    throw malformedPolicy(`Statement cannot contain both ${name} and Not${name}`, name);
  }
  if (plain !== undefined) return { value: plain, negated: false };
  return negated === undefined ? undefined : { value: negated, negated: true };
}

function required(statement: JsonObject, name: string): { value: Json; negated: boolean } {
  const found = either(statement, name);
  if (!found) throw malformedPolicy(`Missing required field ${name}`);
  return found;
}

function textsOf(value: Json, wrong: string): readonly string[] {
  const texts = Array.isArray(value) ? (value as readonly Json[]) : [value];
  if (texts.length === 0 || !texts.every((text) => typeof text === "string" && text !== ""))
    throw malformedPolicy(wrong);
  return texts as readonly string[];
}

/** A service's prefix and an action's name, either with wildcards. */
const FOREIGN_ACTION = /^[a-z0-9-]{1,64}:[A-Za-z0-9*?]{1,128}$/;

/** By name in lower case: actions compare without case. */
const BY_LOWER = new Map([...ACTIONS.keys()].map((name) => [name.toLowerCase(), name]));

function actionsNamed(pattern: string): string[] {
  const lower = pattern.toLowerCase();
  if (!/[*?]/.test(lower)) {
    const name = BY_LOWER.get(lower);
    return name === undefined ? [] : [name];
  }
  const matches = globMatcher(globTokens(lower));
  return [...BY_LOWER].filter(([known]) => matches(known)).map(([, name]) => name);
}

/** Every action that a pattern names. */
function expand(pattern: string, kind: PolicyKind["kind"]): string[] {
  const names = actionsNamed(pattern);
  if (names.length > 0) return names;
  // A user's policy may speak of other services too; there are none here, so it says nothing.
  if (kind === "identity" && FOREIGN_ACTION.test(pattern) && !/^s3:/i.test(pattern)) return [];
  throw malformedPolicy("Policy has invalid action", pattern);
}

/** Every action of a bucket's statement needs a resource of its kind there, or the statement means nothing. */
function checkApplies(expanded: readonly string[][], resources: readonly Resource[]): void {
  const buckets = resources.some((resource) => resource.buckets);
  const objects = resources.some((resource) => resource.objects);
  for (const names of expanded) {
    const applies = names.some((name) => {
      const resource = ACTIONS.get(name)?.resource;
      return (resource === "bucket" && buckets) || (resource === "object" && objects);
    });
    if (!applies) throw malformedPolicy("Action does not apply to any resource(s) in statement");
  }
}

const LISTINGS = ["s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"];
const LISTING_KEYS = new Set(["s3:prefix", "s3:delimiter", "s3:max-keys"]);

/** A key that none of the statement's actions has would make an Allow nothing, and a Deny nothing or everything. */
function checkConditions(statement: Statement): void {
  if (statement.notActions || LISTINGS.some((name) => statement.actions.has(name))) return;
  if (statement.conditions.some(({ key }) => LISTING_KEYS.has(key))) {
    throw malformedPolicy("Conditions do not apply to combination of actions and resources in statement");
  }
}

function effectOf(value: Json | undefined): Statement["effect"] {
  if (value === undefined) throw malformedPolicy("Missing required field Effect");
  if (value === "Allow" || value === "Deny") return value;
  throw malformedPolicy(`Invalid effect: ${typeof value === "string" ? value.slice(0, 100) : JSON.stringify(value)}`);
}

function principalsOf(statement: JsonObject, kind: PolicyKind): Principals | undefined {
  if (kind.kind === "bucket") {
    const { value, negated } = required(statement, "Principal");
    return parsePrincipals(value, negated, kind.resolver);
  }
  if (either(statement, "Principal")) throw malformedPolicy("Policy document should not specify a principal");
  return undefined;
}

function parseStatement(value: Json, kind: PolicyKind, variables: boolean): Statement {
  if (!isJsonObject(value)) throw malformedPolicy("This policy contains invalid Json", "Statement");
  expectElements(value, STATEMENT_ELEMENTS);
  const effect = effectOf(value.get("Effect"));
  const principals = principalsOf(value, kind);
  const action = required(value, "Action");
  const patterns = textsOf(action.value, "Policy has invalid action");
  const expanded = patterns.map((pattern) => expand(pattern, kind.kind));
  const resource = required(value, "Resource");
  const bucket = kind.kind === "bucket" ? kind.bucket : undefined;
  const resources = textsOf(resource.value, "Policy has invalid resource").map((text) =>
    parseResource(text, bucket, variables),
  );
  const bothPlain = !action.negated && !resource.negated;
  if (kind.kind === "bucket" && bothPlain) checkApplies(expanded, resources);
  const statement: Statement = {
    effect,
    principals,
    actions: new Set(expanded.flat()),
    notActions: action.negated,
    resources,
    notResources: resource.negated,
    conditions: parseConditions(value.get("Condition"), variables),
  };
  if (kind.kind === "bucket") checkConditions(statement);
  return statement;
}

function checkSids(statements: readonly Json[]): void {
  const seen = new Set<string>();
  for (const statement of statements) {
    const sid = isJsonObject(statement) ? statement.get("Sid") : undefined;
    if (sid === undefined || sid === "") continue;
    if (typeof sid !== "string") throw malformedPolicy("This policy contains invalid Json", "Sid");
    if (seen.has(sid)) throw malformedPolicy("Statement IDs (SID) in a single policy must be unique", sid);
    seen.add(sid);
  }
}

function readJson(text: string): JsonObject {
  if (Buffer.byteLength(text) > MAX_POLICY_BYTES) {
    throw malformedPolicy(`Policy document exceeds the maximum size of ${MAX_POLICY_BYTES} bytes`);
  }
  if (!text.startsWith("{")) throw malformedPolicy("Policies must be valid JSON and the first byte must be '{'");
  let document: Json;
  try {
    document = parsePolicyJson(text);
  } catch (error) {
    if (error instanceof JsonError) throw malformedPolicy("This policy contains invalid Json", error.message);
    throw error;
  }
  if (!isJsonObject(document)) throw malformedPolicy("This policy contains invalid Json");
  return document;
}

/**
 * The statements of a policy, checked and compiled (IAM user guide, "IAM JSON policy elements reference").
 *
 * @throws S3Error MalformedPolicy, and nothing else
 */
export function parsePolicy(text: string, kind: PolicyKind): Statement[] {
  const document = readJson(text);
  expectElements(document, ELEMENTS);
  const version = document.get("Version");
  if (version !== undefined && !VERSIONS.some((known) => known === version)) {
    throw malformedPolicy("The policy must contain a valid version string");
  }
  const id = document.get("Id");
  if (id !== undefined && typeof id !== "string") throw malformedPolicy("This policy contains invalid Json", "Id");
  const given = document.get("Statement");
  if (given === undefined) throw malformedPolicy("Missing required field Statement");
  const statements = Array.isArray(given) ? (given as readonly Json[]) : [given as Json];
  if (statements.length === 0) throw malformedPolicy("Could not parse the policy: Statement is empty!");
  checkSids(statements);
  return statements.map((statement) => parseStatement(statement, kind, version === "2012-10-17"));
}
