import type { DeleteObject, DeleteOutcome } from "../../src/engines/object-engine.js";
import { S3Error, toS3Error } from "../../src/errors/s3-error.js";
import { type DeleteEntry, deleteEntriesFrom } from "../delete-document.js";
import { allowDelete, mayBypassGovernance } from "../delete-needs.js";
import { documentOf } from "../document-body.js";
import { checkKeyLength } from "../http/target.js";
import { xmlAnswer } from "../listing/page.js";
import { deleteManyPreconditions } from "../preconditions.js";
import type { Operation, RequestContext } from "../types.js";
import { refuseUnsupported } from "../unsupported.js";
import { versionNamed } from "../version-id.js";
import { conditionNamed } from "../write-refused.js";
import { element, leaf, optionalLeaf, xmlDocument } from "../xml/write.js";

/** 1,000 keys of 1,024 bytes, with room for their escapes. */
const LIMIT_BYTES = 4 * 1024 ** 2;

/**
 * API reference, DeleteObjects. Each key is authorized and answered on its own; which keys, only the document says, so it
 * is read first, bounded.
 */
export const deleteObjects: Operation = {
  name: "DeleteObjects",
  scope: "bucket",
  async run(ctx) {
    refuseUnsupported(ctx.request.headers);
    const { entries, quiet } = deleteEntriesFrom(await documentOf(ctx, { limitBytes: LIMIT_BYTES, digest: true }));
    const requests: DeleteObject[] = [];
    const requested: number[] = [];
    const outcomes: (DeleteOutcome | unknown)[] = new Array(entries.length);
    for (const [index, entry] of entries.entries()) {
      try {
        requests.push(await permitted(ctx, entry));
        requested.push(index);
      } catch (error) {
        outcomes[index] = error;
      }
    }
    const answers = requests.length === 0 ? [] : await ctx.engine.deleteMany(ctx, requests);
    for (const [at, answer] of answers.entries()) {
      const request = requests[at] as DeleteObject;
      const outcome = answer instanceof Error ? explained(answer, request) : answer;
      outcomes[requested[at] as number] = outcome;
    }
    let result = "";
    for (const [index, entry] of entries.entries()) result += outcomeXml(ctx, entry, outcomes[index], quiet);
    return xmlAnswer(xmlDocument("DeleteResult", result));
  },
};

function explained(error: Error, { key, versionId, preconditions }: DeleteObject): unknown {
  // Here S3 says of what was never a version's id that there is no such version.
  if (versionNamed(error, versionId) !== error) return new S3Error("NoSuchVersion", undefined, { cause: error });
  return conditionNamed(error, preconditions, key);
}

/** @throws S3Error AccessDenied, InvalidArgument: of this key alone */
async function permitted(ctx: RequestContext, entry: DeleteEntry): Promise<DeleteObject> {
  const { key, versionId } = entry;
  checkKeyLength(key);
  await allowDelete(ctx, { key, versionId, ifMatch: entry.etag });
  const preconditions = deleteManyPreconditions(entry);
  const bypassGovernance = await mayBypassGovernance(ctx, key, versionId);
  return { bucket: ctx.bucket.name, key, versionId, preconditions, bypassGovernance };
}

function outcomeXml(ctx: RequestContext, entry: DeleteEntry, outcome: unknown, quiet: boolean): string {
  const named = leaf("Key", entry.key) + optionalLeaf("VersionId", entry.versionId);
  if (outcome instanceof Error) {
    const failure = toS3Error(outcome);
    if (failure.status >= 500) ctx.log.error({ err: outcome }, "a key of a bulk delete failed");
    return element("Error", named, leaf("Code", failure.code), leaf("Message", failure.message));
  }
  if (quiet) return "";
  const { versionId, deleteMarker } = outcome as DeleteOutcome;
  const marker = deleteMarker ? leaf("DeleteMarker", true) + optionalLeaf("DeleteMarkerVersionId", versionId) : "";
  return element("Deleted", named, marker);
}
