import { S3Error } from "../../src/errors/s3-error.js";
import { StorageError } from "../../src/errors/storage-error.js";
import type { Bucket, BucketChange } from "../../src/model/bucket.js";
import type { RequestContext } from "../types.js";

const TRIES = 5;

/**
 * Changes a bucket by what is decided from the bucket itself: where it changed in between, it is decided again. So a public
 * policy cannot slip in beside the block that refuses it.
 *
 * @throws S3Error OperationAborted when it keeps changing, and what `decide` throws
 */
export async function changeBucketBy(ctx: RequestContext, decide: (bucket: Bucket) => BucketChange): Promise<Bucket> {
  let bucket = ctx.bucket;
  for (let tried = 1; ; tried++) {
    try {
      return await ctx.engine.changeBucket(ctx, bucket.name, decide(bucket), bucket.revision);
    } catch (error) {
      if (!(error instanceof StorageError) || error.reason !== "conflict") throw error;
      if (tried === TRIES) throw new S3Error("OperationAborted", undefined, { cause: error });
    }
    const now = await ctx.engine.bucket(ctx, bucket.name);
    if (!now) throw new S3Error("NoSuchBucket", undefined, { fields: { BucketName: bucket.name } });
    bucket = now;
  }
}
