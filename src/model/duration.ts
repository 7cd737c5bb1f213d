import { invalid } from "../errors/storage-error.js";

const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Milliseconds of `500ms`, `30s`, `5m`, `1h`, `2d`; a bare number is seconds.
 *
 * @throws StorageError invalid-argument naming the field
 */
export function parseDurationMs(field: string, text: string): number {
  const match = /^(\d{1,7}(?:\.\d{1,3})?)(ms|s|m|h|d)?$/.exec(text);
  if (!match) throw invalid(`${field}: ${JSON.stringify(text)} is not a duration; use for example 30s or 5m`);
  return Math.round(Number(match[1]) * (UNIT_MS[match[2] ?? "s"] ?? 1000));
}
