import type { AccessQuestion } from "./access-question.js";
import type { Statement } from "./policy-document.js";
import { isPrincipal } from "./policy-principal.js";
import { resourceOf } from "./policy-resource.js";

export type Verdict = "deny" | "allow" | "none";

/** Statements in the order that ends soonest: whatever their order in the document, a deny decides. */
export interface Policy {
  readonly denies: readonly Statement[];
  readonly allows: readonly Statement[];
}

export function policyOf(statements: readonly Statement[]): Policy {
  return {
    denies: statements.filter(({ effect }) => effect === "Deny"),
    allows: statements.filter(({ effect }) => effect === "Allow"),
  };
}

function applies(statement: Statement, question: AccessQuestion, resource: string): boolean {
  if (statement.actions.has(question.need.action) === statement.notActions) return false;
  if (statement.principals && !isPrincipal(statement.principals, question.caller)) return false;
  const named = statement.resources.some(({ matches }) => matches(resource, question));
  if (named === statement.notResources) return false;
  return statement.conditions.every((condition) => condition.met(question));
}

/** What a policy says to a need. */
export function evaluate(policy: Policy, question: AccessQuestion): Verdict {
  const resource = resourceOf(question);
  for (const statement of policy.denies) if (applies(statement, question, resource)) return "deny";
  for (const statement of policy.allows) if (applies(statement, question, resource)) return "allow";
  return "none";
}
