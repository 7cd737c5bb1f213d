import { S3Error } from "../../src/errors/s3-error.js";

/** What every token begins with, so that a later form can be told from this one. */
const FORM = "1";

/** A continuation token: opaque to clients, in truth the last key or common prefix of the page before. */
export function continuationToken(last: string): string {
  return FORM + Buffer.from(last, "utf8").toString("base64url");
}

/** @throws S3Error InvalidArgument for what continuationToken never made, the empty one too */
export function afterToken(token: string): string {
  const bytes = Buffer.from(token.slice(FORM.length), "base64url");
  const last = bytes.toString("utf8");
  if (token.startsWith(FORM) && bytes.length > 0 && continuationToken(last) === token) return last;
  throw new S3Error("InvalidArgument", "The continuation token provided is incorrect", {
    fields: { ArgumentName: "continuation-token", ArgumentValue: token },
  });
}
