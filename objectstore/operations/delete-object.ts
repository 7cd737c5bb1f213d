import type { DeleteOutcome } from "../../src/engines/object-engine.js";
import { allowDelete, mayBypassGovernance, refuseBypassWithoutLock } from "../delete-needs.js";
import { deletePreconditions } from "../preconditions.js";
import type { Operation } from "../types.js";
import { refuseUnsupported } from "../unsupported.js";
import { requestedVersion, versionNamed } from "../version-id.js";
import { conditionNamed } from "../write-refused.js";

/** API reference, DeleteObject. */
export const deleteObject: Operation = {
  name: "DeleteObject",
  scope: "object",
  async run(ctx) {
    const { bucket, key, request } = ctx;
    const versionId = requestedVersion(request);
    const ifMatch = request.headers.get("if-match");
    await allowDelete(ctx, { key, versionId, ifMatch });
    refuseUnsupported(request.headers);
    refuseBypassWithoutLock(ctx);
    const preconditions = deletePreconditions(request.headers);
    const bypassGovernance = await mayBypassGovernance(ctx, key, versionId);
    try {
      const ref = { bucket: bucket.name, key, versionId, preconditions, bypassGovernance };
      return { status: 204, headers: outcomeHeaders(await ctx.engine.delete(ctx, ref)) };
    } catch (error) {
      throw conditionNamed(versionNamed(error, versionId), preconditions, key);
    }
  },
};

function outcomeHeaders({ versionId, deleteMarker }: DeleteOutcome): Record<string, string> {
  const headers: Record<string, string> = {};
  if (versionId !== undefined) headers["x-amz-version-id"] = versionId;
  if (deleteMarker) headers["x-amz-delete-marker"] = "true";
  return headers;
}
