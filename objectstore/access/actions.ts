/**
 * Every action that a policy may name (AWS service authorization reference, "Actions, resources, and condition keys for
 * Amazon S3"), what kind of resource it is for, and which ACL permission gives it (S3 user guide, "ACL overview", the table
 * of the mapping). Actions of operations that Granary lacks are here too: a policy that names them is not wrong.
 */

export type ActionResource = "service" | "bucket" | "object";

/**
 * What gives an action to who has no policy for it:
 * - `owner`: the bucket's owner alone.
 * - `bucket-*`: that permission in the bucket's ACL; `object-*`: in the object's.
 * - `delete`: WRITE on the bucket, for the bucket's owner and for the owner of the object.
 * - `upload`: the bucket's owner, and who began the upload.
 * - `tags`: the bucket's owner and the object's owner.
 */
export type AclRule =
  | "owner"
  | "bucket-read"
  | "bucket-write"
  | "bucket-read-acp"
  | "bucket-write-acp"
  | "object-read"
  | "object-read-acp"
  | "object-write-acp"
  | "delete"
  | "upload"
  | "tags";

export interface Action {
  readonly resource: ActionResource;
  readonly acl: AclRule;
}

const SERVICE = `
  ListAllMyBuckets GetAccountPublicAccessBlock PutAccountPublicAccessBlock GetAccessPoint ListAccessPoints
  ListAccessPointsForObjectLambda ListMultiRegionAccessPoints CreateJob DescribeJob ListJobs UpdateJobPriority
  UpdateJobStatus GetJobTagging PutJobTagging DeleteJobTagging GetStorageLensConfiguration
  GetStorageLensConfigurationTagging GetStorageLensDashboard ListStorageLensConfigurations PutStorageLensConfiguration
  PutStorageLensConfigurationTagging DeleteStorageLensConfiguration DeleteStorageLensConfigurationTagging
  CreateAccessPoint DeleteAccessPoint GetAccessPointPolicy GetAccessPointPolicyStatus PutAccessPointPolicy
  DeleteAccessPointPolicy PutAccessPointPublicAccessBlock`;

const BUCKET = `
  CreateBucket CreateBucketMetadataTableConfiguration DeleteBucket DeleteBucketMetadataTableConfiguration
  DeleteBucketPolicy DeleteBucketWebsite GetAccelerateConfiguration GetAnalyticsConfiguration GetBucketAbac GetBucketCORS
  GetBucketLocation GetBucketLogging GetBucketMetadataTableConfiguration GetBucketNotification
  GetBucketObjectLockConfiguration GetBucketOwnershipControls GetBucketPolicy GetBucketPolicyStatus
  GetBucketPublicAccessBlock GetBucketRequestPayment GetBucketTagging GetBucketVersioning GetBucketWebsite
  GetEncryptionConfiguration GetIntelligentTieringConfiguration GetInventoryConfiguration GetLifecycleConfiguration
  GetMetricsConfiguration GetReplicationConfiguration ListTagsForResource PutAccelerateConfiguration
  PutAnalyticsConfiguration PutBucketAbac PutBucketCORS PutBucketLogging PutBucketNotification
  PutBucketObjectLockConfiguration PutBucketOwnershipControls PutBucketPolicy PutBucketPublicAccessBlock
  PutBucketRequestPayment PutBucketTagging PutBucketVersioning PutBucketWebsite PutEncryptionConfiguration
  PutIntelligentTieringConfiguration PutInventoryConfiguration PutLifecycleConfiguration PutMetricsConfiguration
  PutReplicationConfiguration TagResource UntagResource UpdateBucketMetadataInventoryTableConfiguration
  UpdateBucketMetadataJournalTableConfiguration`;

const OBJECT = `
  BypassGovernanceRetention GetObjectLegalHold GetObjectRetention GetObjectVersionForReplication InitiateReplication
  ObjectOwnerOverrideToBucketOwner PutObjectLegalHold PutObjectRetention ReplicateDelete ReplicateObject ReplicateTags
  RestoreObject UpdateObjectEncryption`;

const BY_ACL: readonly (readonly [resource: ActionResource, acl: AclRule, names: string])[] = [
  ["service", "owner", SERVICE],
  ["bucket", "owner", BUCKET],
  ["bucket", "bucket-read", "ListBucket ListBucketVersions ListBucketMultipartUploads"],
  ["bucket", "bucket-read-acp", "GetBucketAcl"],
  ["bucket", "bucket-write-acp", "PutBucketAcl"],
  ["object", "owner", OBJECT],
  ["object", "bucket-write", "PutObject"],
  ["object", "delete", "DeleteObject DeleteObjectVersion"],
  ["object", "upload", "AbortMultipartUpload ListMultipartUploadParts"],
  [
    "object",
    "object-read",
    "GetObject GetObjectVersion GetObjectAttributes GetObjectVersionAttributes GetObjectTorrent GetObjectVersionTorrent",
  ],
  ["object", "object-read-acp", "GetObjectAcl GetObjectVersionAcl"],
  ["object", "object-write-acp", "PutObjectAcl PutObjectVersionAcl"],
  [
    "object",
    "tags",
    "GetObjectTagging GetObjectVersionTagging PutObjectTagging PutObjectVersionTagging DeleteObjectTagging DeleteObjectVersionTagging",
  ],
];

function actionTable(): ReadonlyMap<string, Action> {
  const table = new Map<string, Action>();
  for (const [resource, acl, names] of BY_ACL) {
    const action = Object.freeze({ resource, acl });
    for (const name of names.trim().split(/\s+/)) table.set(`s3:${name}`, action);
  }
  return table;
}

/** By name as S3 writes it, `s3:GetObject`. */
export const ACTIONS: ReadonlyMap<string, Action> = actionTable();

/** The root principal keeps these whatever a bucket's policy says: nobody locks a bucket for good. */
export const POLICY_ACTIONS: ReadonlySet<string> = new Set([
  "s3:GetBucketPolicy",
  "s3:PutBucketPolicy",
  "s3:DeleteBucketPolicy",
]);
