import type { AccessQuestion } from "./access-question.js";
import { globCanBegin, globMatcher, STAR } from "./glob.js";
import { malformedPolicy } from "./policy-error.js";
import {
  parseTemplate,
  type Template,
  type TextMatcher,
  templateMatcher,
  withoutVariables,
} from "./policy-template.js";

const PREFIX = "arn:aws:s3:::";

/** One `Resource` or `NotResource`. */
export interface Resource {
  readonly matches: TextMatcher;
  /** Which kinds of resource it can name: what has no `/` is a bucket, and a star reaches over one. */
  readonly buckets: boolean;
  readonly objects: boolean;
}

/** The resource of a need, without the ARN's prefix: `bucket/key`, `bucket`, or "" of the service itself. */
export function resourceOf({ bucket, need, request }: AccessQuestion): string {
  const name = bucket?.name ?? request.bucket ?? "";
  return need.key === undefined ? name : `${name}/${need.key}`;
}

/** A pattern that can name nothing of this bucket has no place in its policy. */
function namesBucket(template: Template, bucket: string): boolean {
  const tokens = withoutVariables(template);
  return globMatcher(tokens)(bucket) || globCanBegin(tokens, `${bucket}/`);
}

/**
 * @param bucket whose policy it is; undefined for a user's policy, which may name any, and `*` alone
 * @throws S3Error MalformedPolicy
 */
export function parseResource(text: string, bucket: string | undefined, variables: boolean): Resource {
  const everything = bucket === undefined && text === "*";
  if (!everything && !text.startsWith(PREFIX)) throw malformedPolicy("Policy has invalid resource", text);
  const pattern = everything ? "*" : text.slice(PREFIX.length);
  const template = parseTemplate(pattern, { wildcards: true, variables });
  if (template.length === 0 || (bucket !== undefined && !namesBucket(template, bucket))) {
    throw malformedPolicy("Policy has invalid resource", text);
  }
  const tokens = withoutVariables(template);
  const slash = tokens.some((token) => typeof token === "string" && token.includes("/"));
  return { matches: templateMatcher(template), buckets: !slash, objects: slash || tokens.includes(STAR) };
}
