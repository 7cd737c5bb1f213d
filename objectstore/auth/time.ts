const ISO_BASIC = /^\d{8}T\d{6}Z$/;

/** Signatures may be this far from the server's clock, either way. */
export const MAX_SKEW_MS = 15 * 60 * 1000;

/** Milliseconds of SigV4's `YYYYMMDDTHHMMSSZ`, or undefined where the text is no such moment. */
export function parseTimestamp(text: string): number | undefined {
  if (!ISO_BASIC.test(text)) return undefined;
  const [year, month, day] = [number(text, 0, 4), number(text, 4, 6), number(text, 6, 8)];
  const [hour, minute, second] = [number(text, 9, 11), number(text, 11, 13), number(text, 13, 15)];
  if (year < 1970 || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59) return undefined;
  const ms = Date.UTC(year, month - 1, day, hour, minute, second);
  // The 31st of February is another day by now.
  return new Date(ms).getUTCDate() === day ? ms : undefined;
}

const number = (digits: string, from: number, to: number): number => Number(digits.slice(from, to));

export function formatTimestamp(ms: number): string {
  return `${isoSeconds(ms).replaceAll(/[-:]/g, "")}`;
}

/** ISO 8601 without fractions, as S3's error documents have times. */
export function isoSeconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
