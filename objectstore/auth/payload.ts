import { S3Error } from "../../src/errors/s3-error.js";
import type { Payload } from "../types.js";

const HASH = /^[0-9a-fA-F]{64}$/;
export const UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD";
const UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
const SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const ECDSA = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD";
const ECDSA_TRAILER = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER";

type ChunkSigned = Extract<Payload, { kind: "chunked-signed" }>;
/** A payload whose chunks are signed, before the request's own signature has been verified. */
type Announced = Exclude<Payload, ChunkSigned> | Pick<ChunkSigned, "kind" | "trailer">;

/**
 * What x-amz-content-sha256 says of the body (S3 API, "Authenticating Requests: Using the Authorization Header").
 *
 * @throws S3Error InvalidArgument, NotImplemented
 */
export function parsePayload(value: string): Announced {
  switch (value) {
    case UNSIGNED_PAYLOAD:
      return { kind: "unsigned" };
    case UNSIGNED_TRAILER:
      return { kind: "chunked-unsigned-trailer" };
    case SIGNED:
    case SIGNED_TRAILER:
      return { kind: "chunked-signed", trailer: value === SIGNED_TRAILER };
    case ECDSA:
    case ECDSA_TRAILER:
      throw new S3Error("NotImplemented", `x-amz-content-sha256 ${value} is not implemented; use ${SIGNED}`);
  }
  if (HASH.test(value)) return { kind: "hash", sha256: value.toLowerCase() };
  throw new S3Error(
    "InvalidArgument",
    `x-amz-content-sha256 must be ${UNSIGNED_PAYLOAD}, ${UNSIGNED_TRAILER}, ${SIGNED}, ${SIGNED_TRAILER}, ${ECDSA}, ${ECDSA_TRAILER} or a valid sha256 value.`,
    { fields: { ArgumentName: "x-amz-content-sha256", ArgumentValue: value } },
  );
}

/** The payload of a request that was verified: chunks are signed with what it was signed with. */
export function signedPayload(announced: Announced, signer: Omit<ChunkSigned, "kind" | "trailer">): Payload {
  return announced.kind === "chunked-signed" ? { ...announced, ...signer } : announced;
}

/** @throws S3Error InvalidRequest where chunks are signed and the request is not: nothing could verify them */
export function anonymousPayload(value: string | undefined): Payload {
  if (value === undefined) return { kind: "unsigned" };
  const announced = parsePayload(value);
  if (announced.kind !== "chunked-signed") return announced;
  throw new S3Error("InvalidRequest", `x-amz-content-sha256 is ${value}, but the request is not signed`);
}
