import { S3Error } from "../src/errors/s3-error.js";
import { isHeaderValue } from "./http/encoded-word.js";
import type { AuthType } from "./types.js";

/** GetObject, "Overriding response header values": the query's names, and the headers they set. */
const OVERRIDES: readonly (readonly [parameter: string, header: string])[] = [
  ["response-content-type", "content-type"],
  ["response-content-language", "content-language"],
  ["response-expires", "expires"],
  ["response-cache-control", "cache-control"],
  ["response-content-disposition", "content-disposition"],
  ["response-content-encoding", "content-encoding"],
];

/**
 * Sets the headers that a signed request asks for.
 *
 * @throws S3Error InvalidRequest on an unsigned request; InvalidArgument for what no header can carry, line ends above all
 */
export function applyOverrides(
  headers: Record<string, string>,
  query: ReadonlyMap<string, string>,
  authType: AuthType,
): void {
  if (query.size === 0) return;
  for (const [parameter, header] of OVERRIDES) {
    const value = query.get(parameter);
    if (value === undefined) continue;
    if (authType === "anonymous") {
      throw new S3Error(
        "InvalidRequest",
        "Request specific response headers cannot be used for anonymous GET requests.",
      );
    }
    if (!isHeaderValue(value)) {
      throw new S3Error("InvalidArgument", "Header value cannot be represented using ISO-8859-1.", {
        fields: { ArgumentName: parameter, ArgumentValue: value },
      });
    }
    headers[header] = value;
  }
}
