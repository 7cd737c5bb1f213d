import { S3Error } from "../../src/errors/s3-error.js";
import type { Authentication } from "../types.js";
import type { FormValues } from "./post-policy.js";
import { ecdsaRefused, version2Refused } from "./refused.js";
import { credentialFault, parseCredential, queryFault } from "./scope.js";
import { ALGORITHM, deriveSigningKey, ECDSA, NO_SECRET, sameSignature } from "./signature.js";
import { parseTimestamp } from "./time.js";
import { type Authority, findCaller } from "./verify.js";

const SIGNED = ["x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"] as const;
/** How the errors name them. */
const SHOWN = {
  "x-amz-algorithm": "X-Amz-Algorithm",
  "x-amz-credential": "X-Amz-Credential",
  "x-amz-date": "X-Amz-Date",
  "x-amz-signature": "X-Amz-Signature",
} as const;

/**
 * Who signed a form's policy (S3 API, "Authenticating Requests in Browser-Based Uploads Using POST"); a form without
 * policy and signature is nobody's. The policy itself is still to be held against the fields.
 *
 * @throws S3Error InvalidArgument, AuthorizationQueryParametersError, InvalidAccessKeyId, SignatureDoesNotMatch ...
 */
export function authenticateForm(values: FormValues, authority: Authority): Authentication {
  if (values.has("awsaccesskeyid") || values.has("signature")) throw version2Refused();
  const policy = values.get("policy");
  if (policy === undefined && !SIGNED.some((name) => values.has(name))) return ANONYMOUS;
  if (!policy) throw missingField("policy");
  const [algorithm, credentialText, timestamp, signature] = SIGNED.map((name) => {
    const value = values.get(name);
    if (!value) throw missingField(SHOWN[name]);
    return value;
  }) as [string, string, string, string];
  if (values.get("x-amz-security-token")) throw new S3Error("InvalidToken");
  if (algorithm === ECDSA) throw ecdsaRefused();
  if (algorithm !== ALGORITHM) throw queryFault(`X-Amz-Algorithm only supports "${ALGORITHM} and ${ECDSA}"`);
  const credential = parseCredential(credentialText, authority.region, credentialFault);
  const signedMs = parseTimestamp(timestamp);
  if (signedMs === undefined) {
    throw queryFault(`X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`);
  }
  if (timestamp.slice(0, 8) !== credential.date) {
    throw queryFault(
      `Invalid credential date "${credential.date}". This date is not the same as X-Amz-Date: "${timestamp.slice(0, 8)}".`,
    );
  }
  const known = findCaller(credential.accessKey, authority);
  // Not from the cache: a form's date may be any, and would push out those in use.
  const key = deriveSigningKey(known?.secret ?? NO_SECRET, credential.date, credential.region);
  const same = sameSignature(key.sign(Buffer.from(policy, "utf8").toString("latin1")), signature);
  if (!known) {
    throw new S3Error("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", {
      fields: { AWSAccessKeyId: credential.accessKey },
    });
  }
  if (!same) {
    const fields = { AWSAccessKeyId: credential.accessKey, StringToSign: policy, SignatureProvided: signature };
    throw new S3Error("SignatureDoesNotMatch", undefined, { fields });
  }
  return {
    caller: known.caller,
    type: "POST",
    payload: { kind: "unsigned" },
    signatureAgeMs: Math.max(0, authority.nowMs - signedMs),
    signatureVersion: ALGORITHM,
  };
}

const ANONYMOUS: Authentication = {
  caller: { kind: "anonymous" },
  type: "POST",
  payload: { kind: "unsigned" },
  signatureAgeMs: 0,
  signatureVersion: "",
};

/** @param name as a form has it */
export function missingField(name: string): S3Error {
  return new S3Error(
    "InvalidArgument",
    `Bucket POST must contain a field named '${name}'.  If it is specified, please check the order of the fields.`,
    { fields: { ArgumentName: name, ArgumentValue: "" } },
  );
}
