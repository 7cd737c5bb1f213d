import type { IncomingMessage } from "node:http";
import type { AccessQuestion } from "../../objectstore/access/access-question.js";
import { newBucketPolicy } from "../../objectstore/access/bucket-policy.js";
import type { Directory } from "../../objectstore/access/grantees.js";
import type { Authentication, Caller, Need, S3Request } from "../../objectstore/types.js";
import type { User } from "../../src/engines/identity-store.js";
import type { Bucket, BucketConfigKind } from "../../src/model/bucket.js";
import type { ObjectVersion, Pairs } from "../../src/model/object.js";

export const ROOT_ID = "r00t";

export function user(name: string, policies: readonly unknown[] = []): User {
  return Object.freeze({
    name,
    id: `${name}-id`,
    displayName: `${name} the user`,
    email: `${name}@example.com`,
    disabled: false,
    createdMs: 0,
    keys: [],
    policies: policies.map((document, index) => ({
      name: `p${index}`,
      document: typeof document === "string" ? document : JSON.stringify(document),
    })),
    revision: 1,
  });
}

export const alice = user("alice");
export const bob = user("bob");
export const carol = user("carol");
const everybody = [alice, bob, carol];

export const directory: Directory = {
  identities: {
    byId: (id) => everybody.find((one) => one.id === id),
    byName: (name) => everybody.find((one) => one.name === name),
    byEmail: (email) => everybody.find((one) => one.email === email),
  },
  settings: { rootUserId: ROOT_ID },
};

export const settings = { rootUserId: ROOT_ID, defaultOwnership: "ObjectWriter", region: "us-east-1" } as const;

export const anonymous: Caller = { kind: "anonymous" };
export const root: Caller = { kind: "root", id: ROOT_ID, name: "root", accessKey: "ROOTKEY" };
export const as = (who: User): Caller => ({
  kind: "user",
  id: who.id,
  name: who.name,
  accessKey: `${who.name}-key`,
  user: who,
});

/** A bucket of alice's called `b`. */
export function bucket(
  config: Partial<Record<BucketConfigKind, string>> & { policyDocument?: unknown } = {},
  name = "b",
): Bucket {
  const { policyDocument, ...rest } = config;
  const policy =
    policyDocument === undefined
      ? {}
      : { policy: newBucketPolicy(JSON.stringify(policyDocument), name, directory).stored };
  return Object.freeze({
    name,
    ownerId: alice.id,
    createdMs: 0,
    region: "us-east-1",
    versioning: "off",
    objectLock: false,
    durability: "strict",
    quotaBytes: null,
    quotaObjects: null,
    config: { ...rest, ...policy },
    revision: 1,
  });
}

export function object(ownerId: string, options: { acl?: string | null; tags?: Pairs } = {}): ObjectVersion {
  return {
    key: "k",
    versionId: "v1",
    isLatest: true,
    deleteMarker: false,
    lastModifiedMs: 0,
    etag: "e",
    sizeBytes: 1,
    storageClass: "STANDARD",
    ownerId,
    checksum: null,
    attributes: {
      contentType: "text/plain",
      system: [],
      user: [],
      storageClass: "STANDARD",
      tags: options.tags ?? [],
      acl: options.acl ?? null,
      ownerId,
      retention: null,
      legalHold: null,
    },
    partsCount: 0,
    generation: "g",
  };
}

export interface RequestFacts {
  method?: string;
  headers?: Record<string, string>;
  query?: Record<string, string>;
  address?: string;
  secure?: boolean;
  tls?: string;
}

export function request(facts: RequestFacts = {}): S3Request {
  return {
    id: "1",
    method: facts.method ?? "GET",
    rawPath: "/b",
    rawQuery: "",
    bucket: "b",
    key: undefined,
    virtualHosted: false,
    query: new Map(Object.entries(facts.query ?? {})),
    headers: new Map(Object.entries(facts.headers ?? {})),
    clientAddress: facts.address ?? "203.0.113.7",
    secure: facts.secure ?? false,
    message: { socket: { getProtocol: () => facts.tls ?? null } } as unknown as IncomingMessage,
  };
}

export const SIGNED: Authentication = {
  caller: root,
  type: "REST-HEADER",
  payload: { kind: "hash", sha256: "" },
  signatureAgeMs: 1500,
  signatureVersion: "AWS4-HMAC-SHA256",
};

export const UNSIGNED: Authentication = {
  caller: anonymous,
  type: "anonymous",
  payload: { kind: "unsigned" },
  signatureAgeMs: 0,
  signatureVersion: "",
};

export function question(
  caller: Caller,
  need: Need,
  of: { bucket?: Bucket | undefined; auth?: Authentication } & RequestFacts = {},
): AccessQuestion {
  const auth = of.auth ?? (caller.kind === "anonymous" ? UNSIGNED : SIGNED);
  return { caller, need, bucket: "bucket" in of ? of.bucket : bucket(), request: request(of), auth, settings };
}

/** A policy of one statement for bucket `b`, all of which a test may change. */
export function statement(change: Record<string, unknown> = {}): { Version: string; Statement: unknown[] } {
  const base = {
    Effect: "Allow",
    Principal: "*",
    Action: "s3:GetObject",
    Resource: "arn:aws:s3:::b/*",
  };
  const merged: Record<string, unknown> = { ...base, ...change };
  for (const name of ["Principal", "Action", "Resource"])
    if (`Not${name}` in change && !(name in change)) delete merged[name];
  return { Version: "2012-10-17", Statement: [merged] };
}

/** A policy variable. */
export const variable = (inside: string) => `$\{${inside}}`;
