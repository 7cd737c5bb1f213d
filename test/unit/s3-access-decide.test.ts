import { describe, expect, it } from "vitest";
import { isAllowed } from "../../objectstore/access/decide.js";
import { alice, anonymous, as, bob, bucket, object, question, root, statement } from "./s3-access-fixtures.js";

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
