import type { Pairs } from "../../src/model/object.js";
import type { LifecycleRule } from "./rule.js";

/** A version as a walk through its key's versions sees it. */
export interface Seen {
  readonly key: string;
  readonly sizeBytes: number;
  readonly lastModifiedMs: number;
  readonly deleteMarker: boolean;
  /** When the next newer version came; undefined: this one is current. */
  readonly noncurrentSinceMs: number | undefined;
  /** How many noncurrent versions of the key are newer. */
  readonly newerNoncurrent: number;
  /** The key has no other version. */
  readonly alone: boolean;
}

export interface Clock {
  readonly nowMs: number;
  /** How long a day is; S3's 24 hours, or less in tests. */
  readonly dayMs: number;
}

/**
 * So many days after a time, on to the next midnight UTC (user guide, "Lifecycle rules: based on an object's age").
 * Where a day is shorter, its midnights are the multiples of it.
 */
export function daysAfter(ms: number, days: number, dayMs: number): number {
  return Math.ceil((ms + days * dayMs) / dayMs) * dayMs;
}

/** Whether a rule is for a key, whatever its tags and size. */
export function isForKey(rule: LifecycleRule, key: string): boolean {
  return rule.enabled && (rule.filter.prefix === undefined || key.startsWith(rule.filter.prefix));
}

function isForSize({ filter }: LifecycleRule, sizeBytes: number): boolean {
  if (filter.sizeGreaterThan !== undefined && sizeBytes <= filter.sizeGreaterThan) return false;
  return filter.sizeLessThan === undefined || sizeBytes < filter.sizeLessThan;
}

function isForEverySize({ filter }: LifecycleRule): boolean {
  return filter.sizeGreaterThan === undefined && filter.sizeLessThan === undefined;
}

export function isForTags({ filter }: LifecycleRule, tags: Pairs): boolean {
  return filter.tags.every(([key, value]) => tags.some((tag) => tag[0] === key && tag[1] === value));
}

/** When a rule ends a current object's life; undefined: it does not. */
export function expiresAt({ expiration }: LifecycleRule, lastModifiedMs: number, dayMs: number): number | undefined {
  if (!expiration) return undefined;
  if ("dateMs" in expiration) return expiration.dateMs;
  return "days" in expiration ? daysAfter(lastModifiedMs, expiration.days, dayMs) : undefined;
}

/** A delete marker under which nothing is left: gone when a rule says so, or when the rule's age would end an object's life. */
function endsMarker(rule: LifecycleRule, seen: Seen, clock: Clock): boolean {
  if (rule.expiration && "expiredObjectDeleteMarker" in rule.expiration)
    return rule.expiration.expiredObjectDeleteMarker;
  const at = expiresAt(rule, seen.lastModifiedMs, clock.dayMs);
  return at !== undefined && at <= clock.nowMs;
}

function endsNoncurrent({ noncurrent }: LifecycleRule, seen: Seen, clock: Clock): boolean {
  if (!noncurrent || seen.noncurrentSinceMs === undefined) return false;
  if (seen.newerNoncurrent < (noncurrent.newerVersions ?? 0)) return false;
  return daysAfter(seen.noncurrentSinceMs, noncurrent.days, clock.dayMs) <= clock.nowMs;
}

/** `expire`: the current version is deleted as by a client. `remove`: this version goes for good. */
export interface Due {
  readonly action: "expire" | "remove";
  /** Any one of them suffices, once the tags match as well. */
  readonly rules: readonly LifecycleRule[];
}

/** What the rules do to a version now, but for their tags; undefined: nothing. */
export function dueNow(rules: readonly LifecycleRule[], seen: Seen, clock: Clock): Due | undefined {
  const current = seen.noncurrentSinceMs === undefined;
  if (current && seen.deleteMarker && !seen.alone) return undefined;
  const due = rules.filter((rule) => {
    if (!isForKey(rule, seen.key)) return false;
    // A delete marker has neither a size nor tags.
    if (seen.deleteMarker ? !isForEverySize(rule) || rule.filter.tags.length > 0 : !isForSize(rule, seen.sizeBytes)) {
      return false;
    }
    if (!current) return endsNoncurrent(rule, seen, clock);
    if (seen.deleteMarker) return endsMarker(rule, seen, clock);
    const at = expiresAt(rule, seen.lastModifiedMs, clock.dayMs);
    return at !== undefined && at <= clock.nowMs;
  });
  if (due.length === 0) return undefined;
  return { action: current && !seen.deleteMarker ? "expire" : "remove", rules: due };
}

/** The rule that ends a current object's life first, and when; undefined: none does. */
export function firstExpiry(
  rules: readonly LifecycleRule[],
  object: { key: string; sizeBytes: number; lastModifiedMs: number; tags: Pairs },
  dayMs: number,
): { atMs: number; rule: LifecycleRule } | undefined {
  let first: { atMs: number; rule: LifecycleRule } | undefined;
  for (const rule of rules) {
    if (!isForKey(rule, object.key) || !isForSize(rule, object.sizeBytes) || !isForTags(rule, object.tags)) continue;
    const atMs = expiresAt(rule, object.lastModifiedMs, dayMs);
    if (atMs !== undefined && (first === undefined || atMs < first.atMs)) first = { atMs, rule };
  }
  return first;
}

/** The rule that ends an unfinished upload first, and when; undefined: none does. */
export function firstAbort(
  rules: readonly LifecycleRule[],
  upload: { key: string; initiatedMs: number },
  dayMs: number,
): { atMs: number; rule: LifecycleRule } | undefined {
  let first: { atMs: number; rule: LifecycleRule } | undefined;
  for (const rule of rules) {
    if (rule.abortDays === undefined || !isForKey(rule, upload.key)) continue;
    const atMs = daysAfter(upload.initiatedMs, rule.abortDays, dayMs);
    if (first === undefined || atMs < first.atMs) first = { atMs, rule };
  }
  return first;
}
