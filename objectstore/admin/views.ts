/** The admin API's JSON, as server and client share it. No view holds a secret but NewKeyView. */

export interface KeyView {
  accessKey: string;
  created: string;
  disabled: boolean;
}

/** A key that was just made: the only time that its secret is told. */
export interface NewKeyView extends KeyView {
  secretKey: string;
}

export interface PolicyView {
  name: string;
  document: unknown;
}

export interface UserView {
  name: string;
  /** Canonical user id. */
  id: string;
  displayName: string;
  email: string;
  disabled: boolean;
  created: string;
  keys: KeyView[];
  policies: PolicyView[];
}

export interface NewUser {
  name: string;
  id?: string | undefined;
  displayName?: string | undefined;
  email?: string | undefined;
  accessKey?: string | undefined;
  secretKey?: string | undefined;
  policies?: { name: string; document: string }[] | undefined;
}

export interface BucketView {
  name: string;
  /** The owner's name; its id where no user has that any more. */
  owner: string;
  ownerId: string;
  created: string;
  region: string;
  versioning: "off" | "enabled" | "suspended";
  objectLock: boolean;
  durability: "strict" | "relaxed";
  quotaBytes: number | null;
  quotaObjects: number | null;
  usage: { objects: number; bytes: number; deleteMarkers: number; uploads: number };
  /** Which of S3's configurations it has: policy, cors, lifecycle ... */
  configurations: string[];
}

export interface NewBucketRequest {
  name: string;
  /** A user's name or id; the root user unless given. */
  owner?: string | undefined;
  objectLock?: boolean | undefined;
  versioning?: boolean | undefined;
  durability?: "strict" | "relaxed" | undefined;
  quotaBytes?: number | null | undefined;
  quotaObjects?: number | null | undefined;
}

export interface BucketChangeRequest {
  versioning?: "enabled" | "suspended" | undefined;
  objectLock?: true | undefined;
  durability?: "strict" | "relaxed" | undefined;
  quotaBytes?: number | null | undefined;
  quotaObjects?: number | null | undefined;
}

export interface DamagedObject {
  bucket: string;
  key: string;
  versionId: string;
  problem: string;
}

/** One line of a scrub's answer. */
export interface ScrubLine {
  objects: number;
  bytes: number;
  totalObjects: number;
  /** Found since the line before. */
  damaged: DamagedObject[];
  done: boolean;
}

export interface ErrorView {
  /** One of StorageError's codes, or unauthenticated. */
  code: string;
  message: string;
}
