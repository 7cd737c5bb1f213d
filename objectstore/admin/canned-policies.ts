/** Policies that can be attached by name. Their documents are copied into the user: a later version changes none. */
const everything = ["arn:aws:s3:::*"];

const READ = ["s3:Get*", "s3:List*"];
const WRITE = [
  "s3:PutObject",
  "s3:PutObjectTagging",
  "s3:PutObjectVersionTagging",
  "s3:PutObjectRetention",
  "s3:PutObjectLegalHold",
  "s3:AbortMultipartUpload",
  "s3:ListBucketMultipartUploads",
  "s3:ListMultipartUploadParts",
  "s3:GetBucketLocation",
];
const REMOVE = ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging"];
const BUCKETS = ["s3:CreateBucket", "s3:DeleteBucket", "s3:PutBucketVersioning", "s3:PutBucketTagging"];

const document = (actions: readonly string[]) => ({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: actions, Resource: everything }],
});

export const CANNED_POLICIES = {
  /** Sees and reads every bucket and object, and changes nothing. */
  readonly: document(READ),
  /** Adds objects, and can neither read nor delete any. */
  writeonly: document(WRITE),
  /** Reads, writes and deletes objects, makes and removes buckets. Not: policies, ACLs, locks' bypass. */
  readwrite: document([...READ, ...WRITE, ...REMOVE, ...BUCKETS]),
  /** All of S3. */
  admin: document(["s3:*"]),
} as const;

export type CannedPolicy = keyof typeof CANNED_POLICIES;

export const CANNED_POLICY_NAMES = Object.keys(CANNED_POLICIES) as CannedPolicy[];
