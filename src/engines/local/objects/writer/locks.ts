import { refused } from "../../../../errors/storage-error.js";
import type { Retention } from "../../../../model/object.js";
import type { VersionChange } from "../../../object-engine.js";
import { hasLegalHold, retentionOf } from "../records.js";

/**
 * S3 Object Lock: a version under legal hold or in retention is not removed. Governance gives way to who may and does
 * bypass it; compliance to nobody.
 *
 * @throws object-locked
 */
export function checkRemovable(record: Buffer, nowMs: number, bypassGovernance: boolean): void {
  if (hasLegalHold(record)) throw refused("object-locked", "the version is under legal hold");
  const retention = retentionOf(record);
  if (!isActive(retention, nowMs)) return;
  if (retention.mode === "COMPLIANCE" || !bypassGovernance)
    throw refused("object-locked", `the version is in ${retention.mode} retention until ${iso(retention)}`);
}

/**
 * Retention may grow; compliance only that. Shortening, removing and changing the mode of governance needs its bypass.
 *
 * @throws object-locked
 */
export function checkRetentionChange(record: Buffer, change: VersionChange, nowMs: number): void {
  const wanted = change.retention;
  const retention = retentionOf(record);
  if (wanted === undefined || !isActive(retention, nowMs)) return;
  const grows = wanted !== null && wanted.mode === retention.mode && wanted.untilMs >= retention.untilMs;
  if (grows || (retention.mode === "GOVERNANCE" && change.bypassGovernance)) return;
  throw refused("object-locked", `the version is in ${retention.mode} retention until ${iso(retention)}`);
}

function isActive(retention: Retention | null, nowMs: number): retention is Retention {
  return retention !== null && retention.untilMs > nowMs;
}

const iso = (retention: Retention) => new Date(retention.untilMs).toISOString();
