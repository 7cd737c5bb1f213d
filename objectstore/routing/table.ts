import { abortMultipartUpload } from "../operations/abort-multipart-upload.js";
import { completeMultipartUpload } from "../operations/complete-multipart-upload.js";
import { copyObject } from "../operations/copy-object.js";
import { createBucket } from "../operations/create-bucket.js";
import { createMultipartUpload } from "../operations/create-multipart-upload.js";
import { deleteBucket } from "../operations/delete-bucket.js";
import { deleteBucketCors } from "../operations/delete-bucket-cors.js";
import { deleteBucketLifecycle } from "../operations/delete-bucket-lifecycle.js";
import { deleteBucketOwnershipControls } from "../operations/delete-bucket-ownership-controls.js";
import { deleteBucketPolicy } from "../operations/delete-bucket-policy.js";
import { deleteBucketTagging } from "../operations/delete-bucket-tagging.js";
import { deleteObject } from "../operations/delete-object.js";
import { deleteObjectTagging } from "../operations/delete-object-tagging.js";
import { deleteObjects } from "../operations/delete-objects.js";
import { deletePublicAccessBlock } from "../operations/delete-public-access-block.js";
import { getBucketAccelerateConfiguration } from "../operations/get-bucket-accelerate-configuration.js";
import { getBucketAcl } from "../operations/get-bucket-acl.js";
import { getBucketCors } from "../operations/get-bucket-cors.js";
import { getBucketEncryption } from "../operations/get-bucket-encryption.js";
import { getBucketLifecycleConfiguration } from "../operations/get-bucket-lifecycle-configuration.js";
import { getBucketLocation } from "../operations/get-bucket-location.js";
import { getBucketLogging } from "../operations/get-bucket-logging.js";
import { getBucketNotificationConfiguration } from "../operations/get-bucket-notification-configuration.js";
import { getBucketOwnershipControls } from "../operations/get-bucket-ownership-controls.js";
import { getBucketPolicy } from "../operations/get-bucket-policy.js";
import { getBucketPolicyStatus } from "../operations/get-bucket-policy-status.js";
import { getBucketReplication } from "../operations/get-bucket-replication.js";
import { getBucketRequestPayment } from "../operations/get-bucket-request-payment.js";
import { getBucketTagging } from "../operations/get-bucket-tagging.js";
import { getBucketVersioning } from "../operations/get-bucket-versioning.js";
import { getBucketWebsite } from "../operations/get-bucket-website.js";
import { getObject } from "../operations/get-object.js";
import { getObjectAcl } from "../operations/get-object-acl.js";
import { getObjectAttributes } from "../operations/get-object-attributes.js";
import { getObjectLegalHold } from "../operations/get-object-legal-hold.js";
import { getObjectLockConfiguration } from "../operations/get-object-lock-configuration.js";
import { getObjectRetention } from "../operations/get-object-retention.js";
import { getObjectTagging } from "../operations/get-object-tagging.js";
import { getPublicAccessBlock } from "../operations/get-public-access-block.js";
import { headBucket } from "../operations/head-bucket.js";
import { headObject } from "../operations/head-object.js";
import { listBuckets } from "../operations/list-buckets.js";
import { listMultipartUploads } from "../operations/list-multipart-uploads.js";
import { listObjectVersions } from "../operations/list-object-versions.js";
import { listObjects } from "../operations/list-objects.js";
import { listObjectsV2 } from "../operations/list-objects-v2.js";
import { listParts } from "../operations/list-parts.js";
import { postObject } from "../operations/post-object.js";
import { putBucketAcl } from "../operations/put-bucket-acl.js";
import { putBucketCors } from "../operations/put-bucket-cors.js";
import { putBucketLifecycleConfiguration } from "../operations/put-bucket-lifecycle-configuration.js";
import { putBucketOwnershipControls } from "../operations/put-bucket-ownership-controls.js";
import { putBucketPolicy } from "../operations/put-bucket-policy.js";
import { putBucketRequestPayment } from "../operations/put-bucket-request-payment.js";
import { putBucketTagging } from "../operations/put-bucket-tagging.js";
import { putBucketVersioning } from "../operations/put-bucket-versioning.js";
import { putObject } from "../operations/put-object.js";
import { putObjectAcl } from "../operations/put-object-acl.js";
import { putObjectLegalHold } from "../operations/put-object-legal-hold.js";
import { putObjectLockConfiguration } from "../operations/put-object-lock-configuration.js";
import { putObjectRetention } from "../operations/put-object-retention.js";
import { putObjectTagging } from "../operations/put-object-tagging.js";
import { putPublicAccessBlock } from "../operations/put-public-access-block.js";
import { renameObject } from "../operations/rename-object.js";
import { uploadPart } from "../operations/upload-part.js";
import { uploadPartCopy } from "../operations/upload-part-copy.js";
import type { Operation } from "../types.js";
import type { Route } from "./route.js";
import { unsupported } from "./unsupported.js";

const row = (method: string, operation: Operation, ...query: string[]): Route => ({ method, operation, query });
const withHeader = (header: string, route: Route): Route => ({ ...route, header });
const no = (method: string, scope: Operation["scope"], name: string, ...query: string[]) =>
  row(method, unsupported(name, scope), ...query);

const SERVICE: readonly Route[] = [row("GET", listBuckets)];

const BUCKET: readonly Route[] = [
  row("GET", listObjectsV2, "list-type=2"),
  row("GET", listObjectVersions, "versions"),
  row("GET", listMultipartUploads, "uploads"),
  row("GET", getBucketLocation, "location"),
  row("GET", getBucketVersioning, "versioning"),
  row("PUT", putBucketVersioning, "versioning"),
  row("GET", getBucketAcl, "acl"),
  row("PUT", putBucketAcl, "acl"),
  row("GET", getBucketPolicy, "policy"),
  row("PUT", putBucketPolicy, "policy"),
  row("DELETE", deleteBucketPolicy, "policy"),
  row("GET", getBucketPolicyStatus, "policyStatus"),
  row("GET", getBucketOwnershipControls, "ownershipControls"),
  row("PUT", putBucketOwnershipControls, "ownershipControls"),
  row("DELETE", deleteBucketOwnershipControls, "ownershipControls"),
  row("GET", getPublicAccessBlock, "publicAccessBlock"),
  row("PUT", putPublicAccessBlock, "publicAccessBlock"),
  row("DELETE", deletePublicAccessBlock, "publicAccessBlock"),
  row("GET", getBucketCors, "cors"),
  row("PUT", putBucketCors, "cors"),
  row("DELETE", deleteBucketCors, "cors"),
  row("GET", getBucketTagging, "tagging"),
  row("PUT", putBucketTagging, "tagging"),
  row("DELETE", deleteBucketTagging, "tagging"),
  row("GET", getBucketLifecycleConfiguration, "lifecycle"),
  row("PUT", putBucketLifecycleConfiguration, "lifecycle"),
  row("DELETE", deleteBucketLifecycle, "lifecycle"),
  row("GET", getObjectLockConfiguration, "object-lock"),
  row("PUT", putObjectLockConfiguration, "object-lock"),
  row("GET", getBucketRequestPayment, "requestPayment"),
  row("PUT", putBucketRequestPayment, "requestPayment"),
  row("GET", getBucketAccelerateConfiguration, "accelerate"),
  no("PUT", "bucket", "PutBucketAccelerateConfiguration", "accelerate"),
  row("GET", getBucketLogging, "logging"),
  no("PUT", "bucket", "PutBucketLogging", "logging"),
  row("GET", getBucketEncryption, "encryption"),
  no("PUT", "bucket", "PutBucketEncryption", "encryption"),
  no("DELETE", "bucket", "DeleteBucketEncryption", "encryption"),
  row("GET", getBucketReplication, "replication"),
  no("PUT", "bucket", "PutBucketReplication", "replication"),
  no("DELETE", "bucket", "DeleteBucketReplication", "replication"),
  row("GET", getBucketWebsite, "website"),
  no("PUT", "bucket", "PutBucketWebsite", "website"),
  no("DELETE", "bucket", "DeleteBucketWebsite", "website"),
  row("GET", getBucketNotificationConfiguration, "notification"),
  no("PUT", "bucket", "PutBucketNotificationConfiguration", "notification"),
  no("GET", "bucket", "ListBucketInventoryConfigurations", "inventory"),
  no("PUT", "bucket", "PutBucketInventoryConfiguration", "inventory"),
  no("DELETE", "bucket", "DeleteBucketInventoryConfiguration", "inventory"),
  no("GET", "bucket", "ListBucketAnalyticsConfigurations", "analytics"),
  no("PUT", "bucket", "PutBucketAnalyticsConfiguration", "analytics"),
  no("DELETE", "bucket", "DeleteBucketAnalyticsConfiguration", "analytics"),
  no("GET", "bucket", "ListBucketMetricsConfigurations", "metrics"),
  no("PUT", "bucket", "PutBucketMetricsConfiguration", "metrics"),
  no("DELETE", "bucket", "DeleteBucketMetricsConfiguration", "metrics"),
  no("GET", "bucket", "ListBucketIntelligentTieringConfigurations", "intelligent-tiering"),
  no("PUT", "bucket", "PutBucketIntelligentTieringConfiguration", "intelligent-tiering"),
  no("DELETE", "bucket", "DeleteBucketIntelligentTieringConfiguration", "intelligent-tiering"),
  no("GET", "bucket", "GetBucketMetadataConfiguration", "metadataConfiguration"),
  no("POST", "bucket", "CreateBucketMetadataConfiguration", "metadataConfiguration"),
  no("DELETE", "bucket", "DeleteBucketMetadataConfiguration", "metadataConfiguration"),
  no("GET", "bucket", "GetBucketMetadataTableConfiguration", "metadataTable"),
  no("POST", "bucket", "CreateBucketMetadataTableConfiguration", "metadataTable"),
  no("DELETE", "bucket", "DeleteBucketMetadataTableConfiguration", "metadataTable"),
  no("GET", "bucket", "GetBucketAbac", "abac"),
  no("PUT", "bucket", "PutBucketAbac", "abac"),
  no("GET", "bucket", "CreateSession", "session"),
  row("POST", deleteObjects, "delete"),
  row("GET", listObjects),
  row("PUT", createBucket),
  row("HEAD", headBucket),
  row("DELETE", deleteBucket),
  row("POST", postObject),
];

const OBJECT: readonly Route[] = [
  row("GET", getObjectAcl, "acl"),
  row("PUT", putObjectAcl, "acl"),
  row("GET", getObjectTagging, "tagging"),
  row("PUT", putObjectTagging, "tagging"),
  row("DELETE", deleteObjectTagging, "tagging"),
  row("GET", getObjectRetention, "retention"),
  row("PUT", putObjectRetention, "retention"),
  row("GET", getObjectLegalHold, "legal-hold"),
  row("PUT", putObjectLegalHold, "legal-hold"),
  row("GET", getObjectAttributes, "attributes"),
  no("GET", "object", "GetObjectTorrent", "torrent"),
  row("PUT", renameObject, "renameObject"),
  no("POST", "object", "SelectObjectContent", "select"),
  no("POST", "object", "RestoreObject", "restore"),
  no("PUT", "object", "UpdateObjectEncryption", "encryption"),
  row("POST", createMultipartUpload, "uploads"),
  withHeader("x-amz-copy-source", row("PUT", uploadPartCopy, "partNumber", "uploadId")),
  row("PUT", uploadPart, "partNumber", "uploadId"),
  row("GET", listParts, "uploadId"),
  row("POST", completeMultipartUpload, "uploadId"),
  row("DELETE", abortMultipartUpload, "uploadId"),
  withHeader("x-amz-copy-source", row("PUT", copyObject)),
  row("GET", getObject),
  row("HEAD", headObject),
  row("PUT", putObject),
  row("DELETE", deleteObject),
];

/** Every operation of S3 that has a place of its own: what Granary does, and what it refuses by name. */
export const ROUTES: readonly Route[] = [...SERVICE, ...BUCKET, ...OBJECT];
