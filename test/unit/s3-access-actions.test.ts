import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { ACTIONS } from "../../objectstore/access/actions.js";
import { isAllowed } from "../../objectstore/access/decide.js";
import { checkIdentityPolicy } from "../../objectstore/access/identity-policy.js";
import { CANNED_POLICIES, type CannedPolicy } from "../../objectstore/admin/canned-policies.js";
import { alice, as, object, question, user } from "./s3-access-fixtures.js";

const root = path.resolve(import.meta.dirname, "../../objectstore");

describe("the actions that operations ask for", () => {
  it("are S3's: one that is misspelt would be denied to all but root, and no policy could name it", () => {
    const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
    const unknown = files.flatMap((file) =>
      [...readFileSync(path.join(root, file), "utf8").matchAll(/"(s3:[A-Z][A-Za-z]*)"/g)]
        .map((match) => match[1] ?? "")
        .filter((action) => !ACTIONS.has(action))
        .map((action) => `${file}: ${action}`),
    );
    expect(files.length).toBeGreaterThan(20);
    expect(unknown).toEqual([]);
  });
});

describe("canned policies", () => {
  const may = (name: CannedPolicy, action: string) => {
    const caller = as(user("bob", [CANNED_POLICIES[name]]));
    const bucketless = action === "s3:ListAllMyBuckets" || action === "s3:CreateBucket";
    const need = bucketless ? { action } : { action, key: "k", object: object(alice.id) };
    return isAllowed(question(caller, need, bucketless ? { bucket: undefined } : {}));
  };

  it.each(Object.entries(CANNED_POLICIES))("%s: a policy that can be attached", (name, document) => {
    expect(() => checkIdentityPolicy(name, JSON.stringify(document))).not.toThrow();
  });

  it.each<[string, boolean, boolean, boolean, boolean]>([
    // action, readonly, writeonly, readwrite, admin
    ["s3:GetObject", true, false, true, true],
    ["s3:GetObjectVersion", true, false, true, true],
    ["s3:ListAllMyBuckets", true, false, true, true],
    ["s3:PutObject", false, true, true, true],
    ["s3:AbortMultipartUpload", false, true, true, true],
    ["s3:DeleteObject", false, false, true, true],
    ["s3:CreateBucket", false, false, true, true],
    ["s3:PutObjectAcl", false, false, false, true],
    ["s3:BypassGovernanceRetention", false, false, false, true],
  ])("%s: readonly %j, writeonly %j, readwrite %j, admin %j", (action, ...expected) => {
    const names = ["readonly", "writeonly", "readwrite", "admin"] as const;
    expect(names.map((name) => may(name, action))).toEqual(expected);
  });

  it("readwrite changes no bucket's policy or access; admin does", () => {
    for (const action of ["s3:PutBucketPolicy", "s3:PutBucketAcl", "s3:PutBucketPublicAccessBlock"]) {
      const need = { action };
      expect(isAllowed(question(as(user("bob", [CANNED_POLICIES.readwrite])), need))).toBe(false);
      expect(isAllowed(question(as(user("bob", [CANNED_POLICIES.admin])), need))).toBe(true);
    }
  });
});
