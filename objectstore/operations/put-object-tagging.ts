import { changeSubject, retryingConflicts, subjectOf } from "../changed-version.js";
import { addTagConditions, versionConditions } from "../object-needs.js";
import { tagsFromXml } from "../tags.js";
import type { Operation } from "../types.js";

const LIMIT_BYTES = 64 * 1024;

/**
 * API reference, PutObjectTagging. Its document is read before it is allowed, bounded: policies ask for the tags in it
 * (s3:RequestObjectTag). Before the object is looked at too: a wrong document must not tell strangers what is there.
 */
export const putObjectTagging: Operation = {
  name: "PutObjectTagging",
  scope: "object",
  async run(ctx) {
    const { bucket, key } = ctx;
    const tags = tagsFromXml(await ctx.body.text(LIMIT_BYTES), "object");
    return retryingConflicts(async () => {
      const { version, versionId } = await subjectOf(ctx);
      await ctx.allow({
        action: versionId === undefined ? "s3:PutObjectTagging" : "s3:PutObjectVersionTagging",
        bucket,
        key,
        object: version,
        conditions: () => {
          const conditions = versionConditions(versionId);
          addTagConditions(conditions, tags);
          return conditions;
        },
      });
      return { status: 200, headers: await changeSubject(ctx, version, { tags }) };
    });
  },
};
