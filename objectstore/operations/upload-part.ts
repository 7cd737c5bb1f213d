import { MAX_PART_BYTES } from "../../src/model/object.js";
import { CHECKSUM_HEADER } from "../checksum-headers.js";
import { keptWithDefault } from "../multipart/default-checksum.js";
import { requiredPartNumber } from "../multipart/part-number.js";
import { checkPartAlgorithm, partAlgorithm } from "../multipart/upload-checksum.js";
import { uploadNamed, uploadOf } from "../multipart/upload-of.js";
import { allowWrite } from "../object-needs.js";
import type { Operation } from "../types.js";
import { refuseUnsupported } from "../unsupported.js";

/** API reference, UploadPart. */
export const uploadPart: Operation = {
  name: "UploadPart",
  scope: "object",
  async run(ctx) {
    const { bucket, key, request } = ctx;
    await allowWrite(ctx, { bucket, key, createsObject: false });
    refuseUnsupported(request.headers);
    const partNumber = requiredPartNumber(request.query);
    const upload = await uploadOf(ctx);
    checkPartAlgorithm(upload, ctx.body.declared?.algorithm);
    const { uploadId } = upload;
    const algorithm = partAlgorithm(upload);
    const sent = await ctx.body.source({ algorithm, limitBytes: MAX_PART_BYTES });
    const body = (ctx.body.declared?.algorithm ?? algorithm) === algorithm ? sent : keptWithDefault(sent);
    try {
      const part = await ctx.engine.putPart(ctx, { bucket: bucket.name, key, uploadId, partNumber, body });
      const headers: Record<string, string> = { etag: `"${part.etag}"` };
      const checksum = ctx.body.digest()?.checksum ?? part.checksum;
      if (checksum) headers[CHECKSUM_HEADER[checksum.algorithm]] = checksum.value;
      return { status: 200, headers };
    } catch (error) {
      throw uploadNamed(error, uploadId);
    }
  },
};
