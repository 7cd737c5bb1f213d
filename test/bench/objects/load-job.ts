import type { Credentials } from "./sigv4.js";

/** What the runner tells the load generator's process, as one JSON value on its standard input. */
export type LoadJob = ObjectJob | ListJob;

interface Where {
  host: string;
  port: number;
  credentials: Credentials;
  bucket: string;
  /** Connections, each with one request at a time. */
  clients: number;
  /** No request starts after this. */
  maxSeconds: number;
}

export interface ObjectJob extends Where {
  operation: "PUT" | "GET" | "HEAD" | "DELETE";
  sizeBytes: number;
  layout: Layout;
  /** PUT and DELETE take each key of the range once; GET and HEAD draw from it, by chance, until time is up. */
  firstKey: number;
  keys: number;
  /** Of so many GETs one is compared with what was stored; the others by their length alone. 1 compares all. */
  compareOneOf: number;
}

export interface ListJob extends Where {
  operation: "LIST";
  prefix: string;
  delimiter: string;
  pageKeys: number;
  /** A walk ends after so many pages, or at the bucket's end, and the next one begins. */
  pagesPerWalk: number;
  /** Each walk starts after one of these, in turn; "" is the bucket's start. */
  startAfter: readonly string[];
  /** Pages in all: ends before `maxSeconds` then. */
  maxPages: number;
  /** What every page must hold, keys and common prefixes together. */
  expectEntries: number;
}

/** What the process answers, as one JSON value on its standard output. */
export interface LoadResult {
  operations: number;
  /** Of bodies, sent or received. */
  bytes: number;
  /** From the first request's start to the last response's end. */
  seconds: number;
  /** Of `seconds`, what a client waited for answers, as a mean of them: without what it did with the answers. */
  waitedSeconds: number;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
  /** The load generator's own, while it was sending: what it signed before is not in it. */
  clientCpuSeconds: number;
  /** Beyond one for each client: the server, or a failure, ended connections. */
  reconnects: number;
  /** GETs whose body was compared. */
  compared: number;
  /** The first key of the range that was not taken. */
  nextKey: number;
  failures: number;
  /** The first few of them. */
  failureTexts: readonly string[];
}

/**
 * How a key's number becomes its name. `spread`: 64 folders, as many clients would fill them. `listing`: a bucket to
 * list, with 1,000 common prefixes at its root, whatever its size, one of which, `big/`, has exactly 1,000 keys.
 */
export type Layout = "spread" | "listing";

const LISTING_FOLDERS = 999;
export const BIG_FOLDER = "big/";
export const BIG_FOLDER_KEYS = 1000;
export const ROOT_PREFIXES = LISTING_FOLDERS + 1;

export function keyName(layout: Layout, number: number): string {
  const name = `k${String(number).padStart(8, "0")}`;
  if (layout === "spread") return `p${String(number % 64).padStart(2, "0")}/${name}`;
  if (number < BIG_FOLDER_KEYS) return `${BIG_FOLDER}${name}`;
  return `f${String(number % LISTING_FOLDERS).padStart(4, "0")}/${name}`;
}
