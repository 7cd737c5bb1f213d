import { S3Error } from "../../src/errors/s3-error.js";
import { encodeKeyForUrl, escapeXml } from "../xml/write.js";

type Query = ReadonlyMap<string, string>;

/** ListObjectsV2, "max-keys": a page never has more. */
export const MAX_PAGE = 1000;

function invalidArgument(message: string, name: string, value: string): S3Error {
  return new S3Error("InvalidArgument", message, { fields: { ArgumentName: name, ArgumentValue: value } });
}

function wholeNumber(values: Query, name: string): number | undefined {
  const text = values.get(name);
  if (text === undefined || text === "") return undefined;
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= 0x7fffffff)) {
    throw invalidArgument("Argument must be an integer between 0 and 2147483647", name, text);
  }
  return value;
}

/**
 * max-keys and its like: 1,000 where it is absent or empty, and never over that, whatever is asked.
 *
 * @param values of the query, or of the headers
 * @throws S3Error InvalidArgument for what is no whole number from 0 to 2^31 - 1
 */
export function pageLimit(values: Query, name: "max-keys" | "max-uploads" | "max-parts" | "x-amz-max-parts"): number {
  return Math.min(wholeNumber(values, name) ?? MAX_PAGE, MAX_PAGE);
}

/**
 * The part that a page of parts starts behind; 0 for the first page.
 *
 * @throws S3Error InvalidArgument
 */
export function partMarker(values: Query, name: "part-number-marker" | "x-amz-part-number-marker"): number {
  return wholeNumber(values, name) ?? 0;
}

/** How keys are written into a page: as XML text, or url encoded. */
export interface KeyEncoding {
  /** Keys, prefixes, delimiters and markers, ready to stand in an element. */
  readonly text: (key: string) => string;
  /** `<EncodingType>url</EncodingType>`, or nothing. */
  readonly element: string;
}

const PLAIN: KeyEncoding = { text: escapeXml, element: "" };
const URL_ENCODED: KeyEncoding = { text: encodeKeyForUrl, element: "<EncodingType>url</EncodingType>" };

/** @throws S3Error InvalidArgument for an encoding-type other than `url` */
export function keyEncoding(query: Query): KeyEncoding {
  const type = query.get("encoding-type");
  if (type === undefined) return PLAIN;
  if (type === "url") return URL_ENCODED;
  throw invalidArgument("Invalid Encoding Method specified in Request", "encoding-type", type);
}

/**
 * x-amz-optional-object-attributes: RestoreStatus alone, which no object here has.
 *
 * @throws S3Error InvalidArgument
 */
export function checkOptionalAttributes(headers: ReadonlyMap<string, string>): void {
  const name = "x-amz-optional-object-attributes";
  const value = headers.get(name);
  if (value === undefined) return;
  for (const attribute of value.split(",")) {
    if (attribute.trim() !== "RestoreStatus") {
      throw invalidArgument("Invalid attribute name specified.", name, value);
    }
  }
}

/** The condition keys of a listing: s3:prefix, s3:delimiter, s3:max-keys, as the request has them. */
export function listConditions(query: Query): () => ReadonlyMap<string, readonly string[]> {
  return () => {
    const conditions = new Map<string, readonly string[]>();
    for (const name of ["prefix", "delimiter", "max-keys"]) {
      const value = query.get(name);
      if (value !== undefined) conditions.set(`s3:${name}`, [value]);
    }
    return conditions;
  };
}
