import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { replaceFile } from "../../src/os/durable-file.js";

/** A token that this start alone takes. */
export interface AdminToken {
  /** Takes as long for any header: digests are compared, so not even the length shows. */
  matches(authorization: string | undefined): boolean;
}

/** Makes a random token, and leaves it in a file that its owner alone can read. */
export async function makeToken(file: string): Promise<AdminToken> {
  const token = randomBytes(32).toString("base64url");
  await replaceFile(file, `${token}\n`);
  const expected = digest(`Bearer ${token}`);
  return { matches: (authorization) => timingSafeEqual(digest(authorization ?? ""), expected) };
}

const digest = (text: string) => createHash("sha256").update(text).digest();
