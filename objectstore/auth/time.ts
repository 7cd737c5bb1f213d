const ISO_BASIC = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;

/** Signatures may be this far from the server's clock, either way. */
export const MAX_SKEW_MS = 15 * 60 * 1000;

/** Milliseconds of SigV4's `YYYYMMDDTHHMMSSZ`, or undefined where the text is no such moment. */
export function parseTimestamp(text: string): number | undefined {
  const parts = ISO_BASIC.exec(text);
  if (!parts) return undefined;
  const [, year, month, day, hour, minute, second] = parts.map(Number) as [0, ...number[]];
  const ms = Date.UTC(year as number, (month as number) - 1, day, hour, minute, second);
  // The 31st of February is another day by now.
  return formatTimestamp(ms) === text ? ms : undefined;
}

export function formatTimestamp(ms: number): string {
  return `${isoSeconds(ms).replaceAll(/[-:]/g, "")}`;
}

/** ISO 8601 without fractions, as S3's error documents have times. */
export function isoSeconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
