import { S3Error } from "../src/errors/s3-error.js";
import type { RequestContext } from "./types.js";

export interface DocumentRules {
  limitBytes: number;
  /** S3 wants a Content-MD5 or a checksum with this document (API reference, the operation's page). */
  digest: boolean;
}

/**
 * The document that a request carries.
 *
 * @throws S3Error InvalidRequest without a digest that is needed, MissingRequestBodyError, MaxMessageLengthExceeded
 */
export async function documentOf(ctx: RequestContext, rules: DocumentRules): Promise<string> {
  if (rules.digest && ctx.body.declared === undefined && !ctx.request.headers.has("content-md5")) {
    throw new S3Error("InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*");
  }
  const text = await ctx.body.text(rules.limitBytes);
  if (text.trim() === "") throw new S3Error("MissingRequestBodyError");
  return text;
}
