import type { z } from "zod";
import type { IdentityStore } from "../../src/engines/identity-store.js";
import type { ObjectEngine } from "../../src/engines/object-engine.js";
import type { Context } from "../../src/engines/types.js";
import { invalid } from "../../src/errors/storage-error.js";

/** What the routes work with. */
export interface AdminWorld {
  readonly engine: ObjectEngine;
  readonly identities: IdentityStore;
  /** The root user, whom no other may be taken for. */
  readonly root: { readonly id: string; readonly name: string; readonly accessKey: string };
  readonly region: string;
}

export interface AdminCall extends Context {
  readonly world: AdminWorld;
  /** A segment of the path, decoded. */
  param(name: string): string;
  query(name: string): string | undefined;
  /** The body's JSON. @throws StorageError invalid-argument naming the field */
  body<T extends z.ZodType>(schema: T): z.infer<T>;
}

/** An answer is JSON; of an AsyncIterable, one JSON value a line as they come. */
export interface Route {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Segments that begin with a colon take any value. */
  readonly path: string;
  run(call: AdminCall): Promise<unknown> | AsyncIterable<unknown>;
}

export interface Found {
  route: Route;
  params: ReadonlyMap<string, string>;
}

/** Undefined: nothing is there; "method": something is, with other methods. */
export function findRoute(routes: readonly Route[], method: string, path: string): Found | "method" | undefined {
  const segments = path.split("/");
  let seen = false;
  for (const route of routes) {
    const params = match(route.path.split("/"), segments);
    if (!params) continue;
    if (route.method === method) return { route, params };
    seen = true;
  }
  return seen ? "method" : undefined;
}

function match(pattern: readonly string[], segments: readonly string[]): ReadonlyMap<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined;
  const params = new Map<string, string>();
  for (const [i, expected] of pattern.entries()) {
    const segment = segments[i] ?? "";
    if (expected.startsWith(":")) params.set(expected.slice(1), decode(segment));
    else if (segment !== expected) return undefined;
  }
  return params;
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw invalid(`the path's ${JSON.stringify(segment.slice(0, 64))} is not percent-encoded UTF-8`);
  }
}
