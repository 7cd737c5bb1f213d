import type { CommittedName, ReplyOf, RequestOf } from "../protocol.js";
import { changeBucket, createBucket, deleteBucket } from "./buckets.js";
import { beginSweep, forgetGarbage, lease, seal } from "./generations.js";
import { changeVersion, copyObject, deleteAll, put, rename } from "./objects.js";
import type { Store } from "./store.js";
import { abort, complete, createUpload, putPart } from "./uploads.js";
import { changeUser, createUser, deleteUser } from "./users.js";

/**
 * What runs in the transaction of a commit. Each looks and refuses first (a StorageError leaves no trace), then changes;
 * any other error undoes the whole transaction.
 */
export const OPERATIONS: { readonly [K in CommittedName]: (store: Store, request: RequestOf<K>) => ReplyOf<K> } = {
  ping: () => null,
  createBucket,
  changeBucket,
  deleteBucket,
  put,
  delete: deleteAll,
  copy: copyObject,
  rename,
  changeVersion,
  createUpload,
  putPart,
  complete,
  abort,
  createUser,
  changeUser,
  deleteUser,
  lease,
  seal,
  beginSweep,
  forgetGarbage,
};
