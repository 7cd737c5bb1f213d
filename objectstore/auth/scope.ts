import { S3Error } from "../../src/errors/s3-error.js";
import { SERVICE, TERMINATOR } from "./signature.js";

/** A SigV4 credential, `ACCESSKEY/YYYYMMDD/REGION/s3/aws4_request`, as far as this server takes it. */
export interface Credential {
  readonly accessKey: string;
  readonly date: string;
  readonly region: string;
  /** What follows the access key. */
  readonly scope: string;
}

const DATE = /^\d{8}$/;

/** Makes the error of one way of signing: the words before the fault, and its code, differ. */
export type Fault = (message: string, fields?: Record<string, string>) => S3Error;

export const headerFault: Fault = (message, fields = {}) =>
  new S3Error("AuthorizationHeaderMalformed", `The authorization header is malformed; ${message}`, { fields });

export const queryFault: Fault = (message, fields = {}) =>
  new S3Error("AuthorizationQueryParametersError", message, { fields });

export const credentialFault: Fault = (message, fields = {}) =>
  queryFault(`Error parsing the X-Amz-Credential parameter; ${message}`, fields);

/** @throws what `fault` makes, in S3's words */
export function parseCredential(text: string, region: string, fault: Fault): Credential {
  // Counted from the end: an access key may hold slashes.
  const parts = text.split("/");
  const [date, signedRegion, service, terminator] = parts.slice(-4);
  if (parts.length < 5 || parts[0] === "") {
    throw fault('the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".');
  }
  if (!DATE.test(date as string)) {
    throw fault(`incorrect date format "${date}". This date in the credential must be in the format "yyyyMMdd".`);
  }
  if (signedRegion !== region) {
    throw fault(`the region '${signedRegion}' is wrong; expecting '${region}'`, { Region: region });
  }
  if (service !== SERVICE) throw fault(`incorrect service "${service}". This endpoint belongs to "${SERVICE}".`);
  if (terminator !== TERMINATOR) {
    throw fault(`incorrect terminal "${terminator}". This endpoint uses "${TERMINATOR}".`);
  }
  return {
    accessKey: parts.slice(0, -4).join("/"),
    date: date as string,
    region,
    scope: `${date}/${region}/${service}/${terminator}`,
  };
}
