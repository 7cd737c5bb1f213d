import { S3Error } from "../../src/errors/s3-error.js";
import { documentOf } from "../document-body.js";
import type { Operation } from "../types.js";
import { expectChildren, malformedXml, parseDocument, textOf } from "../xml/read.js";

const MAX_BYTES = 16 * 1024;

/** S3 API reference, PutBucketRequestPayment: nobody pays here, so only what is the case already can be set. */
export const putBucketRequestPayment: Operation = {
  name: "PutBucketRequestPayment",
  scope: "bucket",
  async run(ctx) {
    await ctx.allow({ action: "s3:PutBucketRequestPayment" });
    const text = await documentOf(ctx, { limitBytes: MAX_BYTES, digest: false });
    const root = parseDocument(text, "RequestPaymentConfiguration");
    expectChildren(root, ["Payer"]);
    const payer = textOf(root, "Payer");
    if (payer === "Requester") throw new S3Error("NotImplemented", "Requester pays is not implemented");
    if (payer !== "BucketOwner") throw malformedXml("Payer is BucketOwner or Requester");
    return { status: 200, headers: {} };
  },
};
