import { Duplex } from "node:stream";
import { repairAuthority } from "./hpack-authority.js";
import { HeaderBlockRewriter } from "./http2-headers.js";

/**
 * A client's connection, for an HTTP/2 server to read and write in its place, with every `:authority` made one that the
 * server takes. Older kubelets send the unix socket's path, whose slashes Node's HTTP/2 answers with a PROTOCOL_ERROR,
 * and it has no option for that. gRPC gives the authority no meaning on a unix socket.
 *
 * What the server sends passes as it is. Both directions wait for their reader; an end, an error and a destroy of one
 * side reach the other.
 *
 * @param socket open, not read by anyone else, with `allowHalfOpen`: the server decides when its side ends
 */
export function acceptAnyAuthority(socket: Duplex): Duplex {
  const rewriter = new HeaderBlockRewriter(repairAuthority);
  const filtered = new Duplex({
    read: () => void socket.resume(),
    write: (chunk: Buffer, _encoding, done) => void socket.write(chunk, done),
    writev: (chunks, done) => {
      socket.cork();
      chunks.forEach(({ chunk }, i) => {
        socket.write(chunk as Buffer, i === chunks.length - 1 ? done : undefined);
      });
      socket.uncork();
    },
    final: (done) => void socket.end(done),
    destroy: (error, done) => {
      socket.destroy();
      done(error);
    },
  });
  const give = (bytes: readonly Buffer[]): void => {
    // Every part is taken in, even when the first one fills the buffer; then no more are asked for.
    const wanted = bytes.map((part) => filtered.push(part));
    if (wanted.includes(false)) socket.pause();
  };
  socket.pause();
  socket.on("data", (chunk: Buffer) => give(rewriter.push(chunk)));
  socket.on("end", () => {
    const rest = rewriter.end();
    if (rest.length > 0) filtered.push(rest);
    filtered.push(null);
  });
  socket.on("error", (error) => filtered.destroy(error));
  socket.on("close", () => filtered.destroy());
  return filtered;
}
