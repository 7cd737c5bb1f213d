import type { ObjectReason, StorageErrorCode } from "../../../errors/storage-error.js";
import { StorageError } from "../../../errors/storage-error.js";
import type { Bucket, BucketChange, NewBucket } from "../../../model/bucket.js";
import type { User, UserChange } from "../../identity-store.js";
import type { DeleteOutcome, VersionChange, WritePreconditions } from "../../object-engine.js";

/** What a commit gave a version: `random` is the rest of its id, null where it is the null version. */
export interface Decided {
  sequence: number;
  modifiedMs: number;
  random: Buffer | null;
}

/** Keys are those of the table `objects`: bucket id and key. An empty version id is the current version. */
export interface VersionRequest {
  key: Buffer;
  versionId: string;
}

export interface PutRequest {
  key: Buffer;
  /** As encodeRecord made it. */
  record: Buffer;
  /** The body, where the record says that it is inline. */
  inline: Buffer | null;
  preconditions: WritePreconditions;
}

export interface DeleteRequest extends VersionRequest {
  preconditions: WritePreconditions;
  bypassGovernance: boolean;
}

/** `sequence`: of the version that the caller read. */
export interface SourceRequest extends VersionRequest {
  sequence: number;
}

export interface PartRequest {
  key: Buffer;
  uploadId: Buffer;
  partNumber: number;
  /** As encodePart made it: all but its sequence, its time, and the ids of its inline segments. */
  part: Buffer;
  /** The bytes of its inline segments, in their order. */
  inline: Buffer[];
  /** Where segments come from, if they are not the part's own. */
  source: SourceRequest | null;
}

export interface CompleteRequest {
  key: Buffer;
  uploadId: Buffer;
  /** Number and sequence of each part as the caller read them: 2 and 8 bytes. */
  parts: Buffer;
  /** What a repetition is known by. */
  fingerprint: Buffer;
  record: Buffer;
  manifest: Buffer;
  preconditions: WritePreconditions;
}

/** The writer's operations: what each is asked with, and what it answers. */
export interface Operations {
  ping: { request: null; reply: null };
  createBucket: { request: NewBucket; reply: Bucket };
  changeBucket: { request: { name: string; change: BucketChange; revision: number | null }; reply: Bucket };
  deleteBucket: { request: { name: string }; reply: null };
  put: { request: PutRequest; reply: Decided };
  delete: { request: DeleteRequest[]; reply: (DeleteOutcome | Refusal)[] };
  copy: { request: PutRequest & { source: SourceRequest }; reply: Decided };
  rename: {
    request: { from: Buffer; to: Buffer; fromPreconditions: WritePreconditions; toPreconditions: WritePreconditions };
    reply: null;
  };
  /** Answers the record as it is now. */
  changeVersion: {
    request: VersionRequest & { change: VersionChange };
    reply: { record: Buffer; isLatest: boolean };
  };
  createUpload: { request: { key: Buffer; upload: Buffer }; reply: { uploadId: Buffer; initiatedMs: number } };
  putPart: { request: PartRequest; reply: { modifiedMs: number } };
  complete: { request: CompleteRequest; reply: Decided };
  abort: { request: { key: Buffer; uploadId: Buffer }; reply: null };
  createUser: { request: Omit<User, "revision">; reply: User };
  changeUser: { request: { name: string; change: UserChange }; reply: User };
  deleteUser: { request: { name: string }; reply: null };
  /** `pid`: of the process that writes into the folder, so that it can be looked through when that has ended. */
  lease: { request: { pid: number }; reply: number };
  seal: { request: { generation: number }; reply: null };
  /** Its process has ended: no body of it is taken into the metadata any more, and the folder may be looked through. */
  beginSweep: { request: { generation: number }; reply: null };
  /** Bodies that are garbage and that no process reads any more, those with higher ids than `after`. */
  takeGarbage: { request: { limit: number; after: number }; reply: number[] };
  forgetGarbage: { request: { bodyIds: readonly number[] }; reply: null };
}

export type OperationName = keyof Operations;
/** Those that change something: all but the question for garbage, for which other processes are asked. */
export type CommittedName = Exclude<OperationName, "takeGarbage">;
export type RequestOf<K extends OperationName> = Operations[K]["request"];
export type ReplyOf<K extends OperationName> = Operations[K]["reply"];

/** A StorageError on its way between processes. */
export interface Refusal {
  code: StorageErrorCode;
  message: string;
  reason?: ObjectReason;
  deleteMarker?: { versionId: string; lastModifiedMs: number };
}

export function toRefusal(error: StorageError): Refusal {
  return {
    code: error.code,
    message: error.message,
    ...(error.reason ? { reason: error.reason } : {}),
    ...(error.deleteMarker ? { deleteMarker: error.deleteMarker } : {}),
  };
}

export function fromRefusal({ code, message, reason, deleteMarker }: Refusal): StorageError {
  return new StorageError(code, message, {
    ...(reason ? { reason } : {}),
    ...(deleteMarker ? { deleteMarker } : {}),
  });
}

/** Client to writer: a request, or the answer to a question of the writer's. */
export type ToWriter =
  | readonly [call: number, operation: OperationName, request: unknown]
  | readonly [question: number, "answer", bodyIds: number[]];

/** Writer to client: a reply, a refusal, or the question which of these bodies the process is reading. */
export type ToClient =
  | readonly [call: number, outcome: "ok", reply: unknown]
  | readonly [call: number, outcome: "refused", refusal: Refusal]
  | readonly [question: number, outcome: "reading", bodyIds: number[]];
