import { invalid } from "../../src/errors/storage-error.js";
import { checkIdentityPolicy } from "../access/identity-policy.js";

const POLICY_NAME = /^[\w+=,.@-]{1,128}$/;

/** @throws StorageError invalid-argument saying what is wrong with the name or the document */
export function checkedPolicy(name: string, document: string): { name: string; document: string } {
  if (!POLICY_NAME.test(name))
    throw invalid(
      `policy ${JSON.stringify(name.slice(0, 64))}: 1 to 128 letters, digits and + = , . @ _ - are possible`,
    );
  checkIdentityPolicy(name, document);
  return { name, document };
}
