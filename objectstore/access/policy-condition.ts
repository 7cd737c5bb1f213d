import type { AccessQuestion } from "./access-question.js";
import { conditionKey, type KeyReader } from "./condition-keys.js";
import { malformedPolicy } from "./policy-error.js";
import { isJsonObject, type Json } from "./policy-json.js";
import { booleanOf, OPERATORS } from "./policy-operators.js";
import type { TextMatcher } from "./policy-template.js";

/** Which of the request's values must meet a condition; `single` is for keys that have one. */
type Quantifier = "single" | "all" | "any";

/** One key under one operator. A statement needs all of its conditions met. */
export interface Condition {
  /** Bare, as in `StringEquals`. */
  readonly operator: string;
  /** In lower case. */
  readonly key: string;
  readonly values: readonly Json[];
  readonly quantifier: Quantifier;
  readonly ifExists: boolean;
  met(question: AccessQuestion): boolean;
}

const QUANTIFIERS: readonly (readonly [prefix: string, quantifier: Quantifier])[] = [
  ["ForAllValues:", "all"],
  ["ForAnyValue:", "any"],
];
const IF_EXISTS = "IfExists";

interface OperatorName {
  readonly bare: string;
  readonly quantifier: Quantifier;
  readonly ifExists: boolean;
}

function parseOperator(written: string): OperatorName {
  let bare = written;
  let quantifier: Quantifier = "single";
  for (const [prefix, named] of QUANTIFIERS) {
    if (!written.startsWith(prefix)) continue;
    bare = written.slice(prefix.length);
    quantifier = named;
  }
  const ifExists = bare.endsWith(IF_EXISTS);
  if (ifExists) bare = bare.slice(0, -IF_EXISTS.length);
  const alone = bare === written;
  if (OPERATORS.has(bare) || (bare === "Null" && alone)) return { bare, quantifier, ifExists };
  throw malformedPolicy(`Invalid Condition type : ${written.slice(0, 100)}`);
}

interface Test {
  read: KeyReader;
  matchers: readonly TextMatcher[];
  negated: boolean;
  quantifier: Quantifier;
  ifExists: boolean;
}

/**
 * IAM user guide, "Condition operators" and "Multivalued context keys": without the key, a positive condition is not met
 * and a negated one is; with IfExists and ForAllValues it is met, with ForAnyValue it is not.
 */
function meets(test: Test, question: AccessQuestion): boolean {
  const values = test.read(question);
  if (values === undefined || values.length === 0) {
    if (test.ifExists || test.quantifier === "all") return true;
    return test.quantifier === "single" && test.negated;
  }
  const matches = (value: string) => test.matchers.some((matcher) => matcher(value, question));
  switch (test.quantifier) {
    case "single":
      return values.some(matches) !== test.negated;
    case "all":
      return values.every((value) => matches(value) !== test.negated);
    case "any":
      return values.some((value) => matches(value) !== test.negated);
  }
}

function nullTest(read: KeyReader, values: readonly Json[]): Condition["met"] {
  const wanted = values.map((value) => {
    const missing = booleanOf(value);
    if (missing === undefined) throw malformedPolicy("Invalid value for condition Null", JSON.stringify(value));
    return missing;
  });
  return (question) => wanted.includes((read(question)?.length ?? 0) === 0);
}

function valuesOf(operator: string, key: string, value: Json): readonly Json[] {
  const values = Array.isArray(value) ? (value as readonly Json[]) : [value];
  const scalar = (one: Json) => typeof one === "string" || typeof one === "number" || typeof one === "boolean";
  if (values.length > 0 && values.every(scalar)) return values;
  throw malformedPolicy("Policy has an invalid condition value", `${operator} ${key}`);
}

function condition(written: string, name: OperatorName, key: string, value: Json, variables: boolean): Condition {
  const read = conditionKey(key);
  if (!read) throw malformedPolicy("Policy has an invalid condition key", key);
  const { bare, quantifier, ifExists } = name;
  const values = valuesOf(written, key, value);
  const named = { operator: bare, key: key.toLowerCase(), values, quantifier, ifExists };
  const operator = OPERATORS.get(bare);
  if (!operator) return { ...named, met: nullTest(read, values) };
  const matchers = values.map((one) => {
    const matcher = operator.compile(one, variables);
    if (!matcher) throw malformedPolicy("Policy has an invalid condition value", `${written} ${key}: ${String(one)}`);
    return matcher;
  });
  const test: Test = { read, matchers, negated: operator.negated, quantifier, ifExists };
  return { ...named, met: (question) => meets(test, question) };
}

/**
 * The `Condition` of a statement.
 *
 * @param variables whether `${...}` is a policy variable
 * @throws S3Error MalformedPolicy
 */
export function parseConditions(block: Json | undefined, variables: boolean): Condition[] {
  if (block === undefined) return [];
  if (!isJsonObject(block)) throw malformedPolicy("Policy has an invalid condition block");
  const conditions: Condition[] = [];
  for (const [written, keys] of block) {
    const name = parseOperator(written);
    if (!isJsonObject(keys)) throw malformedPolicy("Policy has an invalid condition block", written);
    for (const [key, value] of keys) conditions.push(condition(written, name, key, value, variables));
  }
  return conditions;
}
