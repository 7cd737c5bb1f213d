import type { IncomingHttpHeaders } from "node:http";

export const unquoted = (etag: string | undefined): string => (etag ?? "").replace(/^"|"$/g, "");

export function headerOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/** Of an HTTP date, which has whole seconds. */
export function timeOf(date: string | undefined): number {
  const ms = date === undefined ? Number.NaN : Date.parse(date);
  return Number.isNaN(ms) ? 0 : ms;
}

/** Listings have fractions and headers have none: seconds alone are told, the same everywhere. */
export const wholeSeconds = (ms: number): number => Math.floor(ms / 1000) * 1000;
