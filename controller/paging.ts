import { invalid, StorageError } from "../src/errors/storage-error.js";
import { type IdKind, isOurs } from "../src/model/volume-id.js";

/** @throws StorageError aborted for a token that no list of ours gave (CSI spec, "ListVolumes Errors") */
export function pageRequest(
  request: { max_entries: number; starting_token: string },
  kind: IdKind,
): { afterId: string; limit: number } {
  const { max_entries: limit, starting_token: token } = request;
  if (limit < 0) throw invalid(`max_entries is negative: ${limit}`);
  if (token !== "" && !isOurs(token, kind))
    throw new StorageError("aborted", "starting_token is not one that this plugin gave; start the list anew");
  return { afterId: token, limit };
}
