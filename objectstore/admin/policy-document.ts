import { invalid } from "../../src/errors/storage-error.js";

// IAM has 6,144 characters; here as many as a bucket's policy may have.
const MAX_POLICY_BYTES = 20 * 1024;
const POLICY_NAME = /^[\w+=,.@-]{1,128}$/;

/** @throws StorageError invalid-argument saying what is wrong with the name or the document */
export function checkedPolicy(name: string, document: string): { name: string; document: string } {
  if (!POLICY_NAME.test(name))
    throw invalid(
      `policy ${JSON.stringify(name.slice(0, 64))}: 1 to 128 letters, digits and + = , . @ _ - are possible`,
    );
  if (Buffer.byteLength(document) > MAX_POLICY_BYTES)
    throw invalid(`policy ${name}: more than ${MAX_POLICY_BYTES} bytes`);
  try {
    JSON.parse(document);
  } catch {
    throw invalid(`policy ${name} is not JSON`);
  }
  return { name, document };
}
