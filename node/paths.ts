import { isAbsolute, normalize } from "node:path";
import { invalid } from "../src/errors/storage-error.js";

/** The path in its one spelling, so that records of it compare. @throws StorageError invalid-argument when relative */
export function cleanPath(path: string): string {
  if (!isAbsolute(path) || path.includes("\0")) throw invalid("paths must be absolute");
  const normal = normalize(path);
  return normal.length > 1 && normal.endsWith("/") ? normal.slice(0, -1) : normal;
}
