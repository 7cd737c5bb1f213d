import { invalid } from "../../../errors/storage-error.js";
import { NULL_VERSION } from "../../../model/object.js";
import { readU64 } from "./codec.js";
import { behindPrefix, escaped, idBytes, versionKey } from "./keys.js";
import { hasVersionId, isDeleteMarker, isNull } from "./records.js";
import { copyOf, type Tables } from "./tables.js";

/**
 * The versions of a key, for readers and for the writer. Held after every commit:
 * - the current version is in `objects` if it is an object, else it is a delete marker and the newest in `versions`;
 * - so where `objects` has none, `versions` has none or begins with a delete marker;
 * - a key has one null version at most; `nulls` names it exactly where it is in `versions`.
 */

/** A version and where it lies; without a table key it is the one in `objects`. The record is one's own. */
export interface Found {
  readonly record: Buffer;
  readonly tableKey: Buffer | undefined;
}

export function newestInVersions(tables: Tables, key: Buffer): Found | undefined {
  const start = escaped(key, 0);
  const end = behindPrefix(start) as Buffer;
  for (const { key: tableKey, value } of tables.versions.getRange({ start, end, limit: 1 }))
    return { record: value, tableKey };
  return undefined;
}

/** The version of this id; undefined where there is none. @throws invalid-argument for what was never an id */
export function findVersion(tables: Tables, key: Buffer, versionId: string): Found | undefined {
  const current = copyOf(tables.objects, key);
  if (versionId === NULL_VERSION) {
    if (current && isNull(current)) return { record: current, tableKey: undefined };
    return nullInVersions(tables, key);
  }
  const id = idBytes(versionId);
  if (!id) throw invalid("Invalid version id specified");
  if (current && hasVersionId(current, id)) return { record: current, tableKey: undefined };
  const tableKey = versionKey(key, readU64(id, 0));
  const record = copyOf(tables.versions, tableKey);
  return record && hasVersionId(record, id) ? { record, tableKey } : undefined;
}

export function nullInVersions(tables: Tables, key: Buffer): Found | undefined {
  const sequence = tables.nulls.getBinaryFast(key);
  if (!sequence) return undefined;
  const tableKey = versionKey(key, readU64(sequence, 0));
  const record = copyOf(tables.versions, tableKey);
  if (!record) throw new Error("a null version is named that is not there");
  return { record, tableKey };
}

/** Whether the version is what a request without a version id comes to. */
export function isLatest(tables: Tables, key: Buffer, { record, tableKey }: Found): boolean {
  if (!tableKey) return true;
  if (!isDeleteMarker(record) || tables.objects.doesExist(key)) return false;
  return newestInVersions(tables, key)?.record.equals(record) ?? false;
}
