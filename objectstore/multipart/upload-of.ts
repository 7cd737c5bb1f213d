import { S3Error } from "../../src/errors/s3-error.js";
import { StorageError } from "../../src/errors/storage-error.js";
import type { Upload } from "../../src/model/object.js";
import type { Need, RequestContext } from "../types.js";

/** The uploadId of a request; the router saw that there is one. */
export function uploadIdOf(ctx: RequestContext): string {
  return ctx.request.query.get("uploadId") ?? "";
}

/** `<Error><Code>NoSuchUpload</Code>...<UploadId>`. */
export function noSuchUpload(uploadId: string, cause: unknown): S3Error {
  return new S3Error("NoSuchUpload", undefined, { cause, fields: { UploadId: uploadId } });
}

/** The engine's error, with the upload's id where it is that which is not there. */
export function uploadNamed(error: unknown, uploadId: string): unknown {
  return error instanceof StorageError && error.reason === "no-such-upload" ? noSuchUpload(uploadId, error) : error;
}

/** The request's upload. @throws S3Error NoSuchUpload, for a key other than the upload's too */
export async function uploadOf(ctx: RequestContext): Promise<Upload> {
  const uploadId = uploadIdOf(ctx);
  try {
    return await ctx.engine.upload(ctx, { bucket: ctx.bucket.name, key: ctx.key, uploadId });
  } catch (error) {
    throw uploadNamed(error, uploadId);
  }
}

/**
 * The request's upload, for who may do this with it: who began it, unless a policy denies, and who a policy lets.
 *
 * @throws S3Error AccessDenied, also where there is no such upload and the caller may not; NoSuchUpload
 */
export async function allowedUpload(ctx: RequestContext, action: string): Promise<Upload> {
  const need: Need = { action, bucket: ctx.bucket, key: ctx.key };
  let upload: Upload;
  try {
    upload = await uploadOf(ctx);
  } catch (error) {
    await ctx.allow(need);
    throw error;
  }
  await ctx.allow({ ...need, initiatorId: upload.initiatorId });
  return upload;
}
