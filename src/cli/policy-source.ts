import * as fs from "node:fs/promises";
import { basename, extname } from "node:path";
import { CANNED_POLICIES, CANNED_POLICY_NAMES } from "../../objectstore/admin/canned-policies.js";
import { invalid, messageOf } from "../errors/storage-error.js";
import { didYouMean } from "../model/nearest.js";

/** What is asked for where a policy is: for --help. */
export const POLICY_WORDS = `a file with a policy document, or ${CANNED_POLICY_NAMES.join(", ")}`;

/**
 * A policy from a file, named after it, or one that is known by name. A file whose name is one of those is given as a
 * path: ./readonly.
 *
 * @throws StorageError invalid-argument
 */
export async function readPolicy(word: string, as?: string): Promise<{ name: string; document: string }> {
  const canned = CANNED_POLICY_NAMES.find((name) => name === word);
  if (canned) return { name: as ?? canned, document: JSON.stringify(CANNED_POLICIES[canned]) };
  let document: string;
  try {
    document = await fs.readFile(word, "utf8");
  } catch (error) {
    const unknown = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw invalid(
      unknown
        ? `policy ${JSON.stringify(word)}: no such file, and not one of ${CANNED_POLICY_NAMES.join(", ")}${didYouMean(word, CANNED_POLICY_NAMES)}`
        : `policy ${JSON.stringify(word)} cannot be read: ${messageOf(error)}`,
    );
  }
  return { name: as ?? basename(word, extname(word)).replace(/[^\w+=,.@-]/g, "-"), document };
}
