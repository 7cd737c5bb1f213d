import { parseIsoTime } from "../iso-time.js";
import type { AccessQuestion } from "./access-question.js";
import { inRange, parseAddress, parseRange } from "./ip-range.js";
import type { Json } from "./policy-json.js";
import { parseTemplate, resolve, type TextMatcher, templateMatcher } from "./policy-template.js";

/** Of one of the policy's values: whether a value of the request meets it. Undefined: it is no value of this operator. */
export type ValueCompiler = (value: Json, variables: boolean) => TextMatcher | undefined;

export interface Operator {
  readonly compile: ValueCompiler;
  /** `...NotEquals`, `...NotLike`: met where no value of the policy is. */
  readonly negated: boolean;
}

/** Numbers and booleans are written without quotes too. */
function textOf(value: Json): string | undefined {
  switch (typeof value) {
    case "string":
      return value;
    case "number":
    case "boolean":
      return String(value);
    default:
      return undefined;
  }
}

const text =
  (wildcards: boolean): ValueCompiler =>
  (value, variables) => {
    const given = textOf(value);
    return given === undefined ? undefined : templateMatcher(parseTemplate(given, { wildcards, variables }));
  };

const equalsIgnoreCase: ValueCompiler = (value, variables) => {
  const given = textOf(value);
  if (given === undefined) return undefined;
  const template = parseTemplate(given, { wildcards: false, variables });
  return (actual, question) => resolve(template, question)?.join("").toLowerCase() === actual.toLowerCase();
};

function numberOf(given: string): number | undefined {
  if (!/^[+-]?(\d{1,20}(\.\d{0,20})?|\.\d{1,20})(e[+-]?\d{1,3})?$/i.test(given)) return undefined;
  return Number(given);
}

/** Milliseconds of a W3C date (ISO 8601; seconds may be left out), or of a number of seconds since 1970. */
function dateOf(given: string): number | undefined {
  const seconds = numberOf(given);
  if (seconds !== undefined) return seconds * 1000;
  return parseIsoTime(given.replace(/^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2})(Z|[+-]|$)/, "$1:00$2"));
}

const ordered =
  (parse: (given: string) => number | undefined, meets: (actual: number, wanted: number) => boolean): ValueCompiler =>
  (value) => {
    const given = textOf(value);
    const wanted = given === undefined ? undefined : parse(given);
    if (wanted === undefined) return undefined;
    return (actual) => {
      const number = parse(actual);
      return number !== undefined && meets(number, wanted);
    };
  };

const COMPARISONS = {
  Equals: (actual: number, wanted: number) => actual === wanted,
  LessThan: (actual: number, wanted: number) => actual < wanted,
  LessThanEquals: (actual: number, wanted: number) => actual <= wanted,
  GreaterThan: (actual: number, wanted: number) => actual > wanted,
  GreaterThanEquals: (actual: number, wanted: number) => actual >= wanted,
} as const;

/** `true` and `false` of a policy, in any case. */
export function booleanOf(value: Json): boolean | undefined {
  switch (textOf(value)?.toLowerCase()) {
    case "true":
      return true;
    case "false":
      return false;
    default:
      return undefined;
  }
}

const bool: ValueCompiler = (value) => {
  const wanted = booleanOf(value);
  return wanted === undefined ? undefined : (actual) => booleanOf(actual) === wanted;
};

const binary: ValueCompiler = (value) => {
  if (typeof value !== "string" || !/^[A-Za-z0-9+/]*={0,2}$/.test(value) || value.length % 4 !== 0) return undefined;
  const wanted = Buffer.from(value, "base64");
  return (actual) => Buffer.from(actual, "base64").equals(wanted);
};

const ip: ValueCompiler = (value) => {
  const range = typeof value === "string" ? parseRange(value) : undefined;
  if (!range) return undefined;
  return (actual) => {
    const address = parseAddress(actual);
    return address !== undefined && inRange(address, range);
  };
};

/** The six parts of an ARN; the last keeps its colons. */
function arnParts(arn: string): string[] | undefined {
  const parts: string[] = [];
  let from = 0;
  for (let count = 0; count < 5; count++) {
    const colon = arn.indexOf(":", from);
    if (colon < 0) return undefined;
    parts.push(arn.slice(from, colon));
    from = colon + 1;
  }
  parts.push(arn.slice(from));
  return parts;
}

/** Each part of an ARN on its own: a star does not reach over a colon but in the last (IAM user guide, "ARN condition operators"). */
const arn: ValueCompiler = (value, variables) => {
  if (typeof value !== "string") return undefined;
  if (value === "*") return (actual) => arnParts(actual)?.[0] === "arn";
  // A variable's own colons (`${aws:username}`) divide nothing.
  const masked = variables ? value.replace(/\$\{[^}]*\}/g, (found) => found.replaceAll(":", "\u0000")) : value;
  const parts = arnParts(masked)?.map((part) =>
    templateMatcher(parseTemplate(part.replaceAll("\u0000", ":"), { wildcards: true, variables })),
  );
  if (!parts || !masked.startsWith("arn:")) return undefined;
  return (actual, question: AccessQuestion) => {
    const actualParts = arnParts(actual);
    return actualParts !== undefined && parts.every((matches, index) => matches(actualParts[index] ?? "", question));
  };
};

function operators(): ReadonlyMap<string, Operator> {
  const table = new Map<string, Operator>();
  const pair = (positive: string, negative: string, compile: ValueCompiler) => {
    table.set(positive, { compile, negated: false });
    table.set(negative, { compile, negated: true });
  };
  pair("StringEquals", "StringNotEquals", text(false));
  pair("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", equalsIgnoreCase);
  pair("StringLike", "StringNotLike", text(true));
  for (const [kind, parse] of [
    ["Numeric", numberOf],
    ["Date", dateOf],
  ] as const) {
    for (const [name, meets] of Object.entries(COMPARISONS)) {
      table.set(`${kind}${name}`, { compile: ordered(parse, meets), negated: false });
    }
    table.set(`${kind}NotEquals`, { compile: ordered(parse, COMPARISONS.Equals), negated: true });
  }
  table.set("Bool", { compile: bool, negated: false });
  table.set("BinaryEquals", { compile: binary, negated: false });
  pair("IpAddress", "NotIpAddress", ip);
  pair("ArnEquals", "ArnNotEquals", arn);
  pair("ArnLike", "ArnNotLike", arn);
  return table;
}

/** Every condition operator but Null, by its bare name (IAM user guide, "Condition operators"). */
export const OPERATORS: ReadonlyMap<string, Operator> = operators();
