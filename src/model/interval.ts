import { invalid } from "../errors/storage-error.js";

const UNIT_MS: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * `30m`, `24h`, `7d` in milliseconds; empty and `never` are 0.
 *
 * @throws StorageError invalid-argument naming the field
 */
export function parseInterval(field: string, text: string): number {
  if (text === "" || text === "never") return 0;
  const [, count, unit = ""] = /^([1-9]\d{0,4})([mhd])$/.exec(text) ?? [];
  if (count === undefined)
    throw invalid(`${field}: ${JSON.stringify(text)} is not an interval; use for example 30m, 24h, 7d or never`);
  return Number(count) * (UNIT_MS[unit] ?? 0);
}
