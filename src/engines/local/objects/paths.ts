import { join } from "node:path";
import { invalid } from "../../../errors/storage-error.js";

// sockaddr_un has 108 bytes, the last of them zero.
const MAX_SOCKET_PATH_BYTES = 107;

/** LMDB's environment. */
export const metadataDir = (dir: string): string => join(dir, "meta");
export const bodiesDir = (dir: string): string => join(dir, "bodies");

/** @throws StorageError invalid-argument when it is too long */
export function socketPath(dir: string): string {
  const path = join(dir, "writer.sock");
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES)
    throw invalid(`the object store's socket ${path} is longer than a unix socket's ${MAX_SOCKET_PATH_BYTES} bytes`);
  return path;
}
