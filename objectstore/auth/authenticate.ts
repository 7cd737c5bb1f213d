import { S3Error } from "../../src/errors/s3-error.js";
import type { Authentication, S3Request } from "../types.js";
import { authenticateHeader } from "./header.js";
import { anonymousPayload } from "./payload.js";
import { authenticateQuery } from "./presigned.js";
import { ecdsaRefused, version2Refused } from "./refused.js";
import { ALGORITHM, ECDSA } from "./signature.js";
import type { Authority } from "./verify.js";

/**
 * Who sends a request: by Authorization header, by presigned query, or nobody (POST forms bear their own signature, which
 * their operation checks). Synchronous, since every request waits for it.
 *
 * @throws S3Error whatever is wrong with the credentials; a request with wrong ones is never taken as anonymous
 */
export function authenticate(request: S3Request, authority: Authority): Authentication {
  const authorization = request.headers.get("authorization") ?? "";
  const { query } = request;
  const presigned = query.has("X-Amz-Algorithm") || query.has("X-Amz-Signature") || query.has("X-Amz-Credential");
  const version2 = query.has("AWSAccessKeyId") || query.has("Signature");
  if (authorization === "" && !presigned && !version2) return anonymous(request);
  if (authorization !== "" && (presigned || version2)) {
    throw new S3Error(
      "InvalidArgument",
      "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified",
      { fields: { ArgumentName: "Authorization", ArgumentValue: authorization.split(" ", 1)[0] as string } },
    );
  }
  if (version2 && !presigned) throw version2Refused();
  // Temporary credentials come with STS, which this server does not have: their token is known to nobody.
  if (request.headers.get("x-amz-security-token") || query.get("X-Amz-Security-Token")) {
    throw new S3Error("InvalidToken");
  }
  if (presigned) return authenticateQuery(request, authority);
  const scheme = authorization.split(" ", 1)[0];
  if (scheme === ALGORITHM) return authenticateHeader(request, authorization, authority);
  if (scheme === ECDSA) throw ecdsaRefused();
  if (scheme === "AWS" && authorization.includes(":")) throw version2Refused();
  throw new S3Error("InvalidArgument", "Unsupported Authorization Type", {
    fields: { ArgumentName: "Authorization", ArgumentValue: scheme as string },
  });
}

function anonymous(request: S3Request): Authentication {
  return {
    caller: { kind: "anonymous" },
    type: "anonymous",
    payload: anonymousPayload(request.headers.get("x-amz-content-sha256")),
    signatureAgeMs: 0,
    signatureVersion: "",
  };
}
