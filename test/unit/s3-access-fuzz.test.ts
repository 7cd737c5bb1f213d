import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AccessQuestion } from "../../objectstore/access/access-question.js";
import { ACTIONS } from "../../objectstore/access/actions.js";
import { newBucketPolicy } from "../../objectstore/access/bucket-policy.js";
import { isAllowed } from "../../objectstore/access/decide.js";
import { evaluate, policyOf } from "../../objectstore/access/evaluate.js";
import { parsePolicy } from "../../objectstore/access/policy-document.js";
import { OPERATORS } from "../../objectstore/access/policy-operators.js";
import type { Caller } from "../../objectstore/types.js";
import { S3Error } from "../../src/errors/s3-error.js";
import {
  alice,
  anonymous,
  as,
  bob,
  bucket,
  carol,
  directory,
  object,
  question,
  root,
  variable,
} from "./s3-access-fixtures.js";

/** Takes a document or refuses it as S3 does; whatever it takes, every question has an answer. */
function survives(text: string): void {
  for (const parse of [
    () => newBucketPolicy(text, "b", directory).policy,
    () => policyOf(parsePolicy(text, { kind: "identity" })),
  ]) {
    let policy: ReturnType<typeof policyOf>;
    try {
      policy = parse();
    } catch (error) {
      if (!(error instanceof S3Error)) throw error;
      expect(error.code).toBe("MalformedPolicy");
      continue;
    }
    for (const caller of [anonymous, root, as(bob)]) {
      const need = { action: "s3:GetObject", key: "k", object: object(alice.id, { tags: [["a", "b"]] }) };
      expect(["allow", "deny", "none"]).toContain(evaluate(policy, question(caller, need)));
    }
  }
}

const ODD = [
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "",
  "*",
  "\u0000",
  "😀",
  variable(""),
  variable("*"),
];
const scalar = fc.oneof(fc.constantFrom(...ODD), fc.string(), fc.integer(), fc.boolean(), fc.constant(null));
const actions = fc.constantFrom(
  "s3:GetObject",
  "s3:*",
  "s3:Get*",
  "*",
  "s3:ListBucket",
  "s3:PutObject",
  "s3:g?tobject",
);
const resources = fc.constantFrom(
  "arn:aws:s3:::b/*",
  "arn:aws:s3:::b/k",
  "arn:aws:s3:::b/?*",
  `arn:aws:s3:::b/${variable("aws:username")}`,
);
const principals = fc.constantFrom<unknown>(
  "*",
  { AWS: "*" },
  { AWS: "bob" },
  { AWS: ["alice", "carol"] },
  { CanonicalUser: "bob-id" },
);
const keys = fc.constantFrom(
  "aws:SourceIp",
  "s3:x-amz-acl",
  "s3:ExistingObjectTag/a",
  "aws:username",
  "s3:RequestObjectTagKeys",
  "aws:CurrentTime",
);
const some = <T>(of: fc.Arbitrary<T>) => fc.oneof(of, fc.array(of, { minLength: 1, maxLength: 3 }));

/** A value that an operator takes. */
function valueFor(operator: string): fc.Arbitrary<string> {
  if (operator.startsWith("Numeric")) return fc.integer().map(String);
  if (operator.startsWith("Date")) return fc.constantFrom("2024-01-01", "2100-01-01T00:00:00Z");
  if (operator === "Bool" || operator === "Null") return fc.constantFrom("true", "false");
  if (operator === "BinaryEquals") return fc.base64String();
  if (operator.endsWith("IpAddress")) return fc.constantFrom("0.0.0.0/0", "203.0.113.0/24", "::/0");
  if (operator.startsWith("Arn")) return fc.constantFrom("arn:aws:iam:::user/*", "*");
  return fc.oneof(
    fc.string().filter((text) => !text.includes("$")),
    fc.constant(variable("aws:username")),
  );
}

const condition = fc.constantFrom("Null", ...OPERATORS.keys()).chain((bare) => {
  const forms = [bare, `${bare}IfExists`, `ForAllValues:${bare}`, `ForAnyValue:${bare}IfExists`];
  const written = fc.constantFrom(...(bare === "Null" ? ["Null"] : forms));
  return fc.tuple(written, keys, some(valueFor(bare))).map(([name, key, value]) => ({ [name]: { [key]: value } }));
});

const rightStatement = fc
  .record({
    Effect: fc.constantFrom("Allow", "Deny"),
    who: fc.tuple(fc.constantFrom("Principal", "NotPrincipal"), principals),
    what: fc.tuple(fc.constantFrom("Action", "NotAction"), some(actions)),
    which: fc.tuple(fc.constantFrom("Resource", "NotResource"), resources),
    Condition: condition,
  })
  .map(({ Effect, who, what, which, Condition }) => ({
    Effect,
    [who[0]]: who[1],
    [what[0]]: what[1],
    [which[0]]: ["arn:aws:s3:::b", which[1]],
    Condition,
  }));
const right = fc.record({
  Version: fc.constantFrom("2012-10-17", "2008-10-17"),
  Statement: fc.oneof(rightStatement, fc.array(rightStatement, { minLength: 1, maxLength: 3 })),
});

/** Something else in one place of a document, however deep. */
function spoiled(value: unknown, path: readonly number[], junk: unknown): unknown {
  const [step, ...rest] = path;
  if (step === undefined || typeof value !== "object" || value === null) return junk;
  if (Array.isArray(value))
    return value.map((one, at) => (at === step % value.length ? spoiled(one, rest, junk) : one));
  const names = Object.keys(value);
  const chosen = names[step % Math.max(names.length, 1)];
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, name === chosen ? spoiled(one, rest, junk) : one]),
  );
}

describe("any document", () => {
  it("any text: taken or MalformedPolicy, never anything else", () => {
    fc.assert(fc.property(fc.oneof(fc.string({ unit: "binary" }), fc.json()), survives), { numRuns: 2000 });
  });

  it("any JSON in the place of a statement's elements", () => {
    const wild = fc.dictionary(
      fc.constantFrom("Version", "Id", "Statement", "Effect", ...ODD),
      fc.oneof(
        fc.jsonValue({ maxDepth: 2 }),
        fc.array(
          fc.dictionary(
            fc.constantFrom("Sid", "Effect", "Principal", "Action", "Resource", "Condition", ...ODD),
            fc.jsonValue({ maxDepth: 2 }),
          ),
        ),
      ),
    );
    fc.assert(
      fc.property(wild, (document) => survives(JSON.stringify(document))),
      { numRuns: 500 },
    );
  });

  it("right ones: taken, and every question has an answer", () => {
    fc.assert(
      fc.property(right, (document) => {
        const text = JSON.stringify(document);
        expect(() => newBucketPolicy(text, "b", directory)).not.toThrow();
        survives(text);
      }),
      { numRuns: 1000 },
    );
  });

  it("right ones but for one place", () => {
    const junk = fc.oneof(scalar, fc.jsonValue({ maxDepth: 2 }));
    fc.assert(
      fc.property(right, fc.array(fc.nat(9), { minLength: 1, maxLength: 6 }), junk, (document, path, other) => {
        survives(JSON.stringify(spoiled(document, path, other)));
      }),
      { numRuns: 2000 },
    );
  });

  it("hole: nothing of it reaches a prototype", () => {
    const names = fc.constantFrom("__proto__", "constructor", "prototype", "toString");
    fc.assert(
      fc.property(names, names, (one, two) => {
        survives(`{"${one}":{"${two}":{"polluted":true}}}`);
        survives(`{"Statement":{"${one}":{"${two}":true},"Effect":"Allow"}}`);
        const of = '"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::b"';
        survives(`{"Statement":{${of},"Condition":{"${one}":{"${two}":"polluted"}}}}`);
        survives(`{"Statement":{${of},"Condition":{"StringEquals":{"${one}":"polluted"}}}}`);
        survives(`{"Statement":{${of},"Condition":{"StringEquals":{"s3:ExistingObjectTag/${one}":"polluted"}}}}`);
      }),
    );
    expect(Object.keys(Object.prototype)).toEqual([]);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });
});

interface PlainStatement {
  Effect: "Allow" | "Deny";
  Principal: "*" | { AWS: string[] };
  negatePrincipal: boolean;
  Action: string[];
  negateAction: boolean;
  Resource: string[];
  negateResource: boolean;
}

/** One of the test's own patterns: a single star at the end, or none. */
const plainMatch = (pattern: string, text: string) =>
  pattern.endsWith("*") ? text.startsWith(pattern.slice(0, -1)) : text === pattern;

/** What a policy says, straight from the definition. */
function oracle(statements: readonly PlainStatement[], caller: Caller, action: string, key: string): string {
  const applies = statements.filter((one) => {
    const name = caller.kind === "anonymous" ? undefined : caller.name;
    const principal = one.Principal === "*" || (name !== undefined && one.Principal.AWS.includes(name));
    const named = one.Action.some((pattern) => plainMatch(pattern, action));
    const resource = one.Resource.some((pattern) => plainMatch(pattern, `arn:aws:s3:::b/${key}`));
    return principal !== one.negatePrincipal && named !== one.negateAction && resource !== one.negateResource;
  });
  if (applies.some(({ Effect }) => Effect === "Deny")) return "deny";
  return applies.length > 0 ? "allow" : "none";
}

const plainStatement: fc.Arbitrary<PlainStatement> = fc.record({
  Effect: fc.constantFrom("Allow", "Deny"),
  Principal: fc.oneof(
    fc.constant("*" as const),
    fc.record({ AWS: fc.uniqueArray(fc.constantFrom("alice", "bob", "carol"), { minLength: 1 }) }),
  ),
  negatePrincipal: fc.boolean(),
  Action: fc.array(fc.constantFrom("s3:GetObject", "s3:Get*", "s3:PutObject", "s3:*", "s3:PutObject*"), {
    minLength: 1,
    maxLength: 2,
  }),
  negateAction: fc.boolean(),
  Resource: fc.array(
    fc.constantFrom("arn:aws:s3:::b/*", "arn:aws:s3:::b/a", "arn:aws:s3:::b/a/*", "arn:aws:s3:::b/b*"),
    { minLength: 1, maxLength: 2 },
  ),
  negateResource: fc.boolean(),
});

function documentOf(statements: readonly PlainStatement[]): string {
  return JSON.stringify({
    Version: "2012-10-17",
    Statement: statements.map((one) => ({
      Effect: one.Effect,
      [one.negatePrincipal ? "NotPrincipal" : "Principal"]: one.Principal,
      [one.negateAction ? "NotAction" : "Action"]: one.Action,
      [one.negateResource ? "NotResource" : "Resource"]: one.Resource,
    })),
  });
}

describe("a policy's verdict", () => {
  const callers = fc.constantFrom<Caller>(anonymous, as(alice), as(bob), as(carol));
  const asked = fc.constantFrom(
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:PutObject",
    "s3:PutObjectAcl",
    "s3:DeleteObject",
  );
  const objectKeys = fc.constantFrom("a", "a/x", "b", "bb/c", "c", "");

  it("is the definition's, whatever the statements and their order", () => {
    fc.assert(
      fc.property(
        fc.array(plainStatement, { minLength: 1, maxLength: 5 }),
        callers,
        asked,
        objectKeys,
        (statements, caller, action, key) => {
          const expected = oracle(statements, caller, action, key);
          const of = (some: readonly PlainStatement[]): string => {
            const { policy } = newBucketPolicy(documentOf(some), "b", directory);
            const asking: AccessQuestion = question(caller, { action, key });
            return evaluate(policy, asking);
          };
          expect(of(statements)).toBe(expected);
          expect(of([...statements].reverse())).toBe(expected);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it("one more deny never allows anything, one more allow never takes anything", () => {
    fc.assert(
      fc.property(
        fc.array(plainStatement, { minLength: 1, maxLength: 3 }),
        plainStatement,
        callers,
        asked,
        objectKeys,
        (statements, more, caller, action, key) => {
          const decide = (some: readonly PlainStatement[]) => {
            const of = bucket({ policy: newBucketPolicy(documentOf(some), "b", directory).stored });
            return isAllowed(question(caller, { action, key, object: object("nobody") }, { bucket: of }));
          };
          const before = decide(statements);
          const after = decide([...statements, more]);
          if (more.Effect === "Deny" && !before) expect(after).toBe(false);
          if (more.Effect === "Allow" && before) expect(after).toBe(true);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe("the table of actions", () => {
  it("every action of a need is of the right kind of resource", () => {
    for (const [name, { resource, acl }] of ACTIONS) {
      expect(name).toMatch(/^s3:[A-Z][A-Za-z]+$/);
      if (acl.startsWith("object-") || acl === "tags" || acl === "upload") expect(resource).toBe("object");
    }
  });
});
