import type { IncomingMessage } from "node:http";
import type { IdentityStore, User } from "../src/engines/identity-store.js";
import type { BodyDigest, BodySource, ObjectEngine } from "../src/engines/object-engine.js";
import type { Context } from "../src/engines/types.js";
import type { Bucket } from "../src/model/bucket.js";
import type { Checksum, ChecksumAlgorithm, ObjectVersion } from "../src/model/object.js";
import type { HmacKey } from "./auth/hmac.js";
import type { Authority } from "./auth/verify.js";

/** A request as the wire had it, its target taken apart. Nothing in it is trusted yet. */
export interface S3Request {
  readonly id: string;
  readonly method: string;
  /** The target's path and query before any decoding: what signatures are made over. */
  readonly rawPath: string;
  readonly rawQuery: string;
  /** Decoded once. Undefined: the service itself; a bucket without a key: the bucket. */
  readonly bucket: string | undefined;
  readonly key: string | undefined;
  /** The bucket came from the Host header. */
  readonly virtualHosted: boolean;
  /** Decoded, the first of each name; a bare name has "". */
  readonly query: ReadonlyMap<string, string>;
  /** Lower-case names; of a repeated header the values joined by ", ". Header bytes as latin1, as they came. */
  readonly headers: ReadonlyMap<string, string>;
  /** The client's address: of the socket, or from a proxy that the config trusts. */
  readonly clientAddress: string;
  readonly secure: boolean;
  readonly message: IncomingMessage;
}

/** Who sends the request, after its signature was verified. */
export type Caller =
  | { readonly kind: "anonymous" }
  | { readonly kind: "root"; readonly id: string; readonly name: string; readonly accessKey: string }
  | {
      readonly kind: "user";
      readonly id: string;
      readonly name: string;
      readonly accessKey: string;
      readonly user: User;
    };

export type AuthType = "anonymous" | "REST-HEADER" | "REST-QUERY-STRING" | "POST";

/** What the authentication says of the body that follows. */
export type Payload =
  | { kind: "unsigned" }
  /** Lower-case hex SHA-256 that the body must have. */
  | { kind: "hash"; sha256: string }
  | { kind: "chunked-unsigned-trailer" }
  | {
      kind: "chunked-signed";
      trailer: boolean;
      /** Chunk signatures chain from the request's. */
      seedSignature: string;
      signingKey: HmacKey;
      /** ISO basic format, as signed. */
      timestamp: string;
      scope: string;
    };

export interface Authentication {
  readonly caller: Caller;
  readonly type: AuthType;
  readonly payload: Payload;
  /** Milliseconds since it was signed; 0 for anonymous requests. */
  readonly signatureAgeMs: number;
  /** s3:signatureversion: "AWS4-HMAC-SHA256" or "". */
  readonly signatureVersion: string;
}

/** The body of one request. Nothing of it is read before the request is authorized. */
export interface RequestBody {
  /** Decoded length, where the client declared it. */
  readonly lengthBytes: number | undefined;
  /** What the client declared of a checksum: by header, by trailer, or by algorithm alone. */
  readonly declared: { readonly algorithm: ChecksumAlgorithm; readonly value: string | undefined } | undefined;
  /**
   * A small document, whole, with its declared digests verified. `checksumHeaders: "ignored"` where x-amz-checksum-*
   * speak of an object and not of this document: CompleteMultipartUpload.
   *
   * @throws S3Error MaxMessageLengthExceeded, IncompleteBody, BadDigest ...
   */
  text(limitBytes: number, options?: { checksumHeaders?: "ignored" }): Promise<string>;
  /**
   * The bytes for an engine: one Buffer where the body is small, which is why this waits. `algorithm`: what is computed
   * where the client declared none.
   *
   * @throws S3Error at once for what the headers say wrong, later from the iteration or from finish()
   */
  source(options: { algorithm: ChecksumAlgorithm; limitBytes: number }): Promise<BodySource>;
  /** The bytes as they come, of any length, decoded from nothing and held against nothing: PostObject's form. */
  raw(): AsyncIterable<Buffer>;
  /** What finish() answered, for the response's checksum headers. */
  digest(): BodyDigest | undefined;
}

/** A need of an operation: this action on this resource. */
export interface Need {
  /** `s3:GetObject` ... */
  readonly action: string;
  /** Undefined: the bucket itself (or the service, where the action has no bucket). */
  readonly key?: string;
  readonly bucket?: Bucket;
  /** The version whose ACL and tags decide, where the action reads or changes one that is there. */
  readonly object?: ObjectVersion;
  /**
   * Condition keys that this action brings: `s3:prefix`, `s3:x-amz-acl`, `s3:requestobjecttag/k` ... the whole name in lower
   * case. Called only when a policy is there to ask: most requests never build the map.
   */
  readonly conditions?: () => ReadonlyMap<string, readonly string[]>;
  /** Of a multipart upload that the action is on: who began it may abort it and list its parts, unless a policy denies. */
  readonly initiatorId?: string;
}

export interface GatewaySettings {
  readonly region: string;
  /** Domains under which `BUCKET.DOMAIN` is virtual-hosted style. */
  readonly domains: readonly string[];
  readonly rootUserId: string;
  /** How many milliseconds a lifecycle day has. */
  readonly lifecycleDayMs: number;
  /** What object ownership a bucket has that sets none. */
  readonly defaultOwnership: "BucketOwnerEnforced" | "BucketOwnerPreferred" | "ObjectWriter";
}

/** Everything an operation works with. */
export interface RequestContext extends Context {
  readonly request: S3Request;
  readonly auth: Authentication;
  readonly caller: Caller;
  readonly engine: ObjectEngine;
  readonly identities: IdentityStore;
  readonly settings: GatewaySettings;
  readonly body: RequestBody;
  /** The request's bucket, read at its start. @throws S3Error NoSuchBucket when it is not there */
  readonly bucket: Bucket;
  /** The request's key. */
  readonly key: string;
  /**
   * From here on the request, its key and its caller are these: of a POST form they stand in the body.
   *
   * @throws what `authenticate` throws; then nothing has changed
   */
  become(request: S3Request, authenticate: (authority: Authority) => Authentication): void;
  /** @throws S3Error AccessDenied */
  allow(need: Need): Promise<void>;
  /** The same question without throwing: for per-key answers and for what a caller may know of an error. */
  allowed(need: Need): Promise<boolean>;
}

export interface S3Response {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body?: string | Buffer | AsyncIterable<Buffer>;
  /** Needed with an AsyncIterable. */
  readonly lengthBytes?: number;
  /** Called when the response is over, however it ended. */
  readonly close?: () => void;
}

/**
 * One operation of S3, in a file of its own. `run` calls `allow` before it reads the body or touches the engine's objects;
 * a test holds that each does.
 */
export interface Operation {
  /** S3's name: `PutObject`. */
  readonly name: string;
  /** Has an object key; a bucket; neither. */
  readonly scope: "service" | "bucket" | "object";
  /** Granary does not have it: `run` answers NotImplemented with its name. */
  readonly refused?: true;
  run(ctx: RequestContext): Promise<S3Response>;
}

export type { BodyDigest, Checksum };
