import { isAbsolute, normalize } from "node:path";
import { invalid } from "../src/errors/storage-error.js";

// Linux's PATH_MAX, which counts the ending NUL, and NAME_MAX.
const PATH_BYTES = 4095;
const NAME_BYTES = 255;

/**
 * The path in its one spelling, so that records of it compare.
 *
 * @throws StorageError invalid-argument when it is relative, too long, or has `..`, which means another folder than its
 * text says when a part before it is a symbolic link
 */
export function cleanPath(field: string, path: string): string {
  if (!isAbsolute(path) || path.includes("\0")) throw invalid(`${field} must be an absolute path`);
  const names = path.split("/");
  if (names.includes("..")) throw invalid(`${field} must not have .. in it`);
  if (Buffer.byteLength(path) > PATH_BYTES || names.some((name) => Buffer.byteLength(name) > NAME_BYTES))
    throw invalid(`${field} is longer than a path can be: ${PATH_BYTES} bytes, and ${NAME_BYTES} in each name`);
  const normal = normalize(path);
  return normal.length > 1 && normal.endsWith("/") ? normal.slice(0, -1) : normal;
}
