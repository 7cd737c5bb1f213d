import { S3Error } from "../../src/errors/s3-error.js";
import type { Authentication, S3Request } from "../types.js";
import { canonicalQuery } from "./canonical.js";
import { parsePayload, signedPayload } from "./payload.js";
import { headerFault, parseCredential } from "./scope.js";
import { ALGORITHM } from "./signature.js";
import { formatTimestamp, isoSeconds, MAX_SKEW_MS, parseTimestamp } from "./time.js";
import { type Authority, verifySignature } from "./verify.js";

/**
 * SigV4 by the Authorization header.
 *
 * @throws S3Error AuthorizationHeaderMalformed, RequestTimeTooSkewed, InvalidAccessKeyId, SignatureDoesNotMatch ...
 */
export function authenticateHeader(request: S3Request, authorization: string, authority: Authority): Authentication {
  const components = parseComponents(authorization);
  const credential = parseCredential(components.credential, authority.region, headerFault);
  const signedAt = signingTime(request);
  if (signedAt.text.slice(0, 8) !== credential.date) {
    throw headerFault(
      `Invalid credential date "${credential.date}". This date is not the same as X-Amz-Date: "${signedAt.text.slice(0, 8)}".`,
    );
  }
  checkSkew(signedAt.ms, authority.nowMs);
  const payloadHash = request.headers.get("x-amz-content-sha256");
  if (payloadHash === undefined) {
    throw new S3Error("InvalidRequest", "Missing required header for this request: x-amz-content-sha256");
  }
  const announced = parsePayload(payloadHash);
  const { caller, key } = verifySignature(
    request,
    {
      credential,
      timestamp: signedAt.text,
      signedHeaders: components.signedHeaders,
      signature: components.signature,
      canonicalQuery: canonicalQuery(request.rawQuery),
      payloadHash,
    },
    authority,
  );
  return {
    caller,
    type: "REST-HEADER",
    payload: signedPayload(announced, {
      seedSignature: components.signature,
      signingKey: key,
      timestamp: signedAt.text,
      scope: credential.scope,
    }),
    signatureAgeMs: Math.max(0, authority.nowMs - signedAt.ms),
    signatureVersion: ALGORITHM,
  };
}

/** `AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=...`, in any order. */
function parseComponents(authorization: string): { credential: string; signedHeaders: string; signature: string } {
  let [credential, signedHeaders, signature] = ["", "", ""];
  for (const part of authorization.slice(ALGORITHM.length).split(",")) {
    const component = part.trim();
    if (component.startsWith("Credential=")) credential = component.slice(11);
    else if (component.startsWith("SignedHeaders=")) signedHeaders = component.slice(14);
    else if (component.startsWith("Signature=")) signature = component.slice(10);
  }
  if (!credential || !signedHeaders || !signature) {
    throw headerFault("the authorization header requires three components: Credential, SignedHeaders, and Signature.");
  }
  return { credential, signedHeaders, signature };
}

/** x-amz-date, else Date in any of its forms (SigV4: "the date can be specified in one of two ways"). */
function signingTime(request: S3Request): { text: string; ms: number } {
  const text = request.headers.get("x-amz-date") ?? request.headers.get("date") ?? "";
  const ms = parseTimestamp(text);
  if (ms !== undefined) return { text, ms };
  const date = request.headers.has("x-amz-date") ? Number.NaN : Date.parse(text);
  if (Number.isNaN(date)) {
    throw new S3Error("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header");
  }
  return { text: formatTimestamp(date), ms: date };
}

/** @throws S3Error RequestTimeTooSkewed */
export function checkSkew(signedMs: number, nowMs: number): void {
  if (Math.abs(nowMs - signedMs) <= MAX_SKEW_MS) return;
  throw new S3Error(
    "RequestTimeTooSkewed",
    "The difference between the request time and the current time is too large.",
    {
      fields: {
        RequestTime: isoSeconds(signedMs),
        ServerTime: isoSeconds(nowMs),
        MaxAllowedSkewMilliseconds: String(MAX_SKEW_MS),
      },
    },
  );
}
