import type { AccessQuestion } from "./access-question.js";
import { conditionKey, type KeyReader } from "./condition-keys.js";
import { ANY, type GlobToken, globMatcher, STAR } from "./glob.js";
import { malformedPolicy } from "./policy-error.js";

/** A value of a policy: text, wildcards, and policy variables whose values come with the request. */
interface Variable {
  readonly read: KeyReader;
  readonly fallback: string | undefined;
}

export type TemplateToken = GlobToken | Variable;
export type Template = readonly TemplateToken[];

/** `${key}` or `${key, 'default'}`. */
function variable(inside: string, whole: string): Variable {
  const comma = inside.indexOf(",");
  const name = (comma < 0 ? inside : inside.slice(0, comma)).trim();
  const read = conditionKey(name);
  if (!read) throw malformedPolicy("Policy has an invalid variable", whole);
  if (comma < 0) return { read, fallback: undefined };
  const quoted = inside.slice(comma + 1).trim();
  if (quoted.length < 2 || !quoted.startsWith("'") || !quoted.endsWith("'")) {
    throw malformedPolicy("Policy has an invalid variable", whole);
  }
  return { read, fallback: quoted.slice(1, -1) };
}

/**
 * The tokens of a value. Variables are known from version 2012-10-17 on; before, `${` is text like any other.
 *
 * @throws S3Error MalformedPolicy for a variable that does not exist
 */
export function parseTemplate(text: string, options: { wildcards: boolean; variables: boolean }): Template {
  const tokens: TemplateToken[] = [];
  let literal = "";
  const flush = () => {
    if (literal !== "") tokens.push(literal);
    literal = "";
  };
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at);
    if (options.variables && character === "$" && text[at + 1] === "{") {
      const end = text.indexOf("}", at + 2);
      if (end >= 0) {
        const inside = text.slice(at + 2, end);
        if (inside === "*" || inside === "?" || inside === "$") literal += inside;
        else {
          flush();
          tokens.push(variable(inside, text));
        }
        at = end;
        continue;
      }
    }
    if (options.wildcards && (character === "*" || character === "?")) {
      flush();
      tokens.push(character === "*" ? STAR : ANY);
    } else literal += character;
  }
  flush();
  return tokens;
}

function isVariable(token: TemplateToken): token is Variable {
  return typeof token === "object";
}

export function hasVariables(template: Template): boolean {
  return template.some(isVariable);
}

/** The tokens with a variable taken for anything: what a check of the document alone may assume. */
export function withoutVariables(template: Template): GlobToken[] {
  return template.map((token) => (isVariable(token) ? STAR : token));
}

/**
 * The tokens with every variable replaced by its value, in which `*` and `?` are text. Undefined where a variable has no
 * value, or several: then the value equals nothing and is like nothing (IAM user guide, "Policy variables with no value").
 */
export function resolve(template: Template, question: AccessQuestion): GlobToken[] | undefined {
  const tokens: GlobToken[] = [];
  for (const token of template) {
    if (!isVariable(token)) {
      tokens.push(token);
      continue;
    }
    const values = token.read(question);
    const value = values?.length === 1 ? values[0] : values === undefined ? token.fallback : undefined;
    if (value === undefined) return undefined;
    tokens.push(value);
  }
  return tokens;
}

export type TextMatcher = (text: string, question: AccessQuestion) => boolean;

/** A matcher of whole texts; compiled once where there is no variable. */
export function templateMatcher(template: Template): TextMatcher {
  if (!hasVariables(template)) return globMatcher(withoutVariables(template));
  return (text, question) => {
    const tokens = resolve(template, question);
    return tokens !== undefined && globMatcher(tokens)(text);
  };
}
