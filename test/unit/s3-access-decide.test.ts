import { describe, expect, it } from "vitest";
import { isAllowed, ownerToList } from "../../objectstore/access/decide.js";
import { alice, anonymous, as, bob, bucket, object, question, root, statement, user } from "./s3-access-fixtures.js";

describe("who may do what", () => {
  it("no policy: the owner may, others may not", () => {
    const need = { action: "s3:GetObject", key: "k", object: object(alice.id) };
    expect(isAllowed(question(as(alice), need))).toBe(true);
    expect(isAllowed(question(as(bob), need))).toBe(false);
    expect(isAllowed(question(anonymous, need))).toBe(false);
    expect(isAllowed(question(root, need))).toBe(true);
  });

  it("a policy for everybody: unsigned requests too", () => {
    const open = bucket({ policyDocument: statement() });
    const need = { action: "s3:GetObject", key: "k", object: object(alice.id) };
    expect(isAllowed(question(anonymous, need, { bucket: open }))).toBe(true);
    expect(isAllowed(question(anonymous, { action: "s3:PutObject", key: "k" }, { bucket: open }))).toBe(false);
  });
});

describe("whose buckets a caller is shown", () => {
  /** As a request's context is: its parts are getters of its class. */
  class Asking {
    constructor(readonly of: ReturnType<typeof question>) {}
    get caller() {
      return this.of.caller;
    }
    get request() {
      return this.of.request;
    }
    get auth() {
      return this.of.auth;
    }
    get settings() {
      return this.of.settings;
    }
  }
  const shown = (caller: Parameters<typeof question>[0]) =>
    ownerToList(new Asking(question(caller, { action: "s3:ListAllMyBuckets" })));

  it("root and who a policy lets: all; users: their own", () => {
    const lets = (Effect: string) => ({ Statement: [{ Effect, Action: "s3:List*", Resource: "*" }] });
    expect(shown(root)).toBeUndefined();
    expect(shown(as(bob))).toBe(bob.id);
    expect(shown(as(user("bob", [lets("Allow")])))).toBeUndefined();
    expect(shown(as(user("bob", [lets("Allow"), lets("Deny")])))).toBe(bob.id);
  });
});
