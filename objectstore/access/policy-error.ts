import { S3Error } from "../../src/errors/s3-error.js";

/** S3 says what is wrong in fixed words, and names it in `Detail`. */
export function malformedPolicy(message: string, detail?: string): S3Error {
  return new S3Error(
    "MalformedPolicy",
    message,
    detail === undefined ? {} : { fields: { Detail: detail.slice(0, 1024) } },
  );
}
