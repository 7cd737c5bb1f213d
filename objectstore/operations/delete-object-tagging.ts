import { allowedSubject, changeSubject, retryingConflicts } from "../changed-version.js";
import type { Operation } from "../types.js";

/** API reference, DeleteObjectTagging. */
export const deleteObjectTagging: Operation = {
  name: "DeleteObjectTagging",
  scope: "object",
  async run(ctx) {
    return retryingConflicts(async () => {
      const version = await allowedSubject(ctx, {
        current: "s3:DeleteObjectTagging",
        named: "s3:DeleteObjectVersionTagging",
      });
      return { status: 204, headers: await changeSubject(ctx, version, { tags: [] }) };
    });
  },
};
