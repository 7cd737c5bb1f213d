import { S3Error } from "../../src/errors/s3-error.js";
import type { Authentication, S3Request } from "../types.js";
import { canonicalQuery } from "./canonical.js";
import { parsePayload, signedPayload, UNSIGNED_PAYLOAD } from "./payload.js";
import { ecdsaRefused } from "./refused.js";
import { credentialFault, parseCredential, queryFault } from "./scope.js";
import { ALGORITHM, ECDSA } from "./signature.js";
import { isoSeconds, MAX_SKEW_MS, parseTimestamp } from "./time.js";
import { type Authority, verifySignature } from "./verify.js";

const MAX_EXPIRES_S = 604_800;
const NUMBER = /^-?\d+$/;

/**
 * SigV4 by query (S3 API, "Authenticating Requests: Using Query Parameters").
 *
 * @throws S3Error AuthorizationQueryParametersError, AccessDenied when expired, InvalidAccessKeyId, SignatureDoesNotMatch
 */
export function authenticateQuery(request: S3Request, authority: Authority): Authentication {
  const { query } = request;
  const algorithm = required(query, "X-Amz-Algorithm");
  const credentialText = required(query, "X-Amz-Credential");
  const signature = required(query, "X-Amz-Signature");
  const timestamp = required(query, "X-Amz-Date");
  const signedHeaders = required(query, "X-Amz-SignedHeaders");
  const expiresText = required(query, "X-Amz-Expires");

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
  checkExpiry(signedMs, parseExpires(expiresText), authority.nowMs);

  const payloadHash =
    query.get("X-Amz-Content-Sha256") ?? request.headers.get("x-amz-content-sha256") ?? UNSIGNED_PAYLOAD;
  const announced = parsePayload(payloadHash);
  const { caller, key } = verifySignature(
    request,
    {
      credential,
      timestamp,
      signedHeaders,
      signature,
      canonicalQuery: canonicalQuery(request.rawQuery, "X-Amz-Signature"),
      payloadHash,
    },
    authority,
  );
  return {
    caller,
    type: "REST-QUERY-STRING",
    payload: signedPayload(announced, {
      seedSignature: signature,
      signingKey: key,
      timestamp,
      scope: credential.scope,
    }),
    signatureAgeMs: Math.max(0, authority.nowMs - signedMs),
    signatureVersion: ALGORITHM,
  };
}

function required(query: ReadonlyMap<string, string>, name: string): string {
  const value = query.get(name);
  if (value) return value;
  throw queryFault(
    "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
  );
}

function parseExpires(text: string): number {
  if (!NUMBER.test(text)) throw queryFault("X-Amz-Expires should be a number");
  const seconds = Number(text);
  if (seconds < 0) throw queryFault("X-Amz-Expires must be non-negative");
  if (seconds > MAX_EXPIRES_S) {
    throw queryFault(
      `X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than ${MAX_EXPIRES_S} seconds`,
    );
  }
  return seconds;
}

function checkExpiry(signedMs: number, expiresS: number, nowMs: number): void {
  if (signedMs - nowMs > MAX_SKEW_MS) {
    throw new S3Error("AccessDenied", "Request is not yet valid", {
      fields: { "X-Amz-Date": isoSeconds(signedMs), ServerTime: isoSeconds(nowMs) },
    });
  }
  const endsMs = signedMs + expiresS * 1000;
  // Zero seconds are over at once, as is the last second of others.
  if (nowMs < endsMs) return;
  throw new S3Error("AccessDenied", "Request has expired", {
    fields: { "X-Amz-Expires": String(expiresS), Expires: isoSeconds(endsMs), ServerTime: isoSeconds(nowMs) },
  });
}
