import { S3Error } from "../../src/errors/s3-error.js";
import { MAX_PARTS } from "../../src/model/object.js";

/**
 * The part that a request names; undefined where it names none.
 *
 * @throws S3Error InvalidArgument
 */
export function requestedPart(query: ReadonlyMap<string, string>): number | undefined {
  const text = query.get("partNumber");
  if (text === undefined) return undefined;
  const number = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (number >= 1 && number <= MAX_PARTS) return number;
  throw new S3Error("InvalidArgument", `Part number must be an integer between 1 and ${MAX_PARTS}, inclusive`, {
    fields: { ArgumentName: "partNumber", ArgumentValue: text },
  });
}

/** The part that an upload's request names. @throws S3Error InvalidArgument */
export function requiredPartNumber(query: ReadonlyMap<string, string>): number {
  const number = requestedPart(query);
  if (number !== undefined) return number;
  throw new S3Error("InvalidArgument", "An upload's request needs a partNumber", {
    fields: { ArgumentName: "partNumber" },
  });
}
