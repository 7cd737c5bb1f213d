import type { IdentityStore } from "../../src/engines/identity-store.js";
import { S3Error } from "../../src/errors/s3-error.js";
import type { Caller, S3Request } from "../types.js";
import { canonicalHeaders, canonicalPath } from "./canonical.js";
import type { HmacKey } from "./hmac.js";
import type { Credential } from "./scope.js";
import { NO_SECRET, sameSignature, signingKey, stringToSign } from "./signature.js";

/** Whom requests are checked against, and when. */
export interface Authority {
  readonly identities: Pick<IdentityStore, "byAccessKey">;
  readonly root: { readonly accessKey: string; readonly secret: string; readonly userId: string };
  readonly region: string;
  readonly nowMs: number;
}

/** A signed request taken apart, whichever way it was signed. */
export interface SignedRequest {
  readonly credential: Credential;
  readonly timestamp: string;
  /** In the order of the list, lower case. */
  readonly signedHeaders: string;
  readonly signature: string;
  readonly canonicalQuery: string;
  /** The last line of the canonical request. */
  readonly payloadHash: string;
}

interface Known {
  readonly caller: Caller;
  readonly secret: string;
}

/** Who has an access key. Disabled keys, and keys of disabled users, are nobody's. */
export function findCaller(accessKey: string, authority: Authority): Known | undefined {
  const { root, identities } = authority;
  if (accessKey === root.accessKey) {
    return { caller: { kind: "root", id: root.userId, name: "root", accessKey }, secret: root.secret };
  }
  const found = identities.byAccessKey(accessKey);
  if (!found || found.user.disabled || found.key.disabled) return undefined;
  const { user, key } = found;
  return { caller: { kind: "user", id: user.id, name: user.name, accessKey, user }, secret: key.secret };
}

/**
 * The caller whose signature a request bears. Signed and compared with a secret of nobody's where the access key is
 * unknown, so that it takes as long as a wrong secret.
 *
 * @throws S3Error AccessDenied where a header that must be signed is not; InvalidAccessKeyId, SignatureDoesNotMatch
 */
export function verifySignature(
  request: S3Request,
  signed: SignedRequest,
  authority: Authority,
): { caller: Caller; key: HmacKey } {
  checkHeadersSigned(request, signed.signedHeaders);
  const known = findCaller(signed.credential.accessKey, authority);
  const { date, region, scope, accessKey } = signed.credential;
  const key = signingKey(known?.secret ?? NO_SECRET, date, region);
  const headers = canonicalHeaders(request, signed.signedHeaders.split(";"));
  const canonicalOf = (path: string): string =>
    `${request.method}\n${path}\n${signed.canonicalQuery}\n${headers}\n${signed.signedHeaders}\n${signed.payloadHash}`;

  const path = canonicalPath(request.rawPath);
  const canonical = canonicalOf(path);
  const text = stringToSign(signed.timestamp, scope, canonical);
  let same = sameSignature(key.sign(text), signed.signature);
  // Some clients keep a slash in a key encoded, and sign it so. It names the same key.
  if (!same && path !== request.rawPath && /%2f/i.test(request.rawPath)) {
    const kept = stringToSign(signed.timestamp, scope, canonicalOf(request.rawPath));
    same = sameSignature(key.sign(kept), signed.signature);
  }
  if (!known) {
    throw new S3Error("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", {
      fields: { AWSAccessKeyId: accessKey },
    });
  }
  if (!same) {
    const fields = { AWSAccessKeyId: accessKey, StringToSign: text, SignatureProvided: signed.signature };
    throw new S3Error("SignatureDoesNotMatch", undefined, {
      fields: { ...fields, CanonicalRequest: shown(canonical) },
    });
  }
  return { caller: known.caller, key };
}

/** Every x-amz-* header that came, and host, must be under the signature: else who is on the way could add one. */
function checkHeadersSigned(request: S3Request, signedHeaders: string): void {
  const list = `;${signedHeaders};`;
  let missing = list.includes(";host;") ? "" : "host";
  for (const name of request.headers.keys()) {
    if (name.startsWith("x-amz-") && !list.includes(`;${name};`)) missing += `${missing === "" ? "" : ", "}${name}`;
  }
  if (missing === "") return;
  throw new S3Error("AccessDenied", "There were headers present in the request which were not signed", {
    fields: { HeadersNotSigned: missing },
  });
}

/** For the client to compare with its own; customers' encryption keys do not belong in answers, nor in logs of them. */
function shown(canonicalRequest: string): string {
  return canonicalRequest.replaceAll(/^(x-amz-[a-z-]*(?:customer-key|token)):.*$/gm, "$1:(not shown)");
}
