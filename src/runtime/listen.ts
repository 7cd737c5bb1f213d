import * as fs from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { dirname } from "node:path";
import { type Server, ServerCredentials } from "@grpc/grpc-js";
import { messageOf, StorageError } from "../errors/storage-error.js";
import { acceptAnyAuthority } from "./http2-authority.js";

export interface Listener {
  /** Takes the socket's file away, so that new connections are refused. The server ends the open ones. */
  close(): void;
}

/**
 * Serves gRPC on a unix socket, to clients that send any `:authority`.
 *
 * @param endpoint `unix:///absolute/path.sock`; a socket that lies there is a dead server's and is replaced
 * @throws StorageError failed-precondition when something else lies there, or the path cannot be listened on
 */
export async function listen(server: Server, endpoint: string): Promise<Listener> {
  const path = endpoint.replace(/^unix:\/\//, "");
  await fs.mkdir(dirname(path), { recursive: true });
  const stat = await fs.lstat(path).catch(() => null);
  if (stat && !stat.isSocket())
    throw new StorageError("failed-precondition", `${path} exists and is not a socket; it is left alone`);
  await fs.rm(path, { force: true });
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const listener = createServer({ allowHalfOpen: true }, (socket: Socket) => {
    injector.injectConnection(acceptAnyAuthority(socket));
  });
  await new Promise<void>((resolve, reject) => {
    // Later ones are failed accepts (too many open files): the client tries again, the server stays.
    listener.on("error", (error) =>
      reject(new StorageError("failed-precondition", `cannot listen on ${path}: ${messageOf(error)}`)),
    );
    listener.listen(path, resolve);
  });
  return { close: () => void listener.close() };
}
