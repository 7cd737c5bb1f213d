import type { IncomingMessage, ServerResponse } from "node:http";

// So little is read in any case, and the connection goes on.
const SMALL_BYTES = 256 * 1024;
// A client writes its whole body before it reads an answer, or fails with EPIPE: so much is read and thrown away.
const DRAIN_BYTES = 8 * 1024 ** 2;
const DRAIN_MS = 5_000;

/**
 * Sees to the rest of a body that nobody will read, when its answer is known already. The connection ends after the
 * answer; until then a bounded rest is taken from the client, so that it gets to read the answer.
 *
 * @param continued whether a client that waits for `100 Continue` was told to go on; if not, it sends nothing more
 */
export function discardBody(
  message: IncomingMessage,
  outgoing: ServerResponse,
  headers: Record<string, string>,
  continued: boolean,
): void {
  const lengthText = message.headers["content-length"];
  const hasBody =
    message.headers["transfer-encoding"] !== undefined || (lengthText !== undefined && lengthText !== "0");
  if (!hasBody || message.destroyed) return;
  if (message.headers.expect !== undefined && !continued) {
    headers.connection = "close";
    return;
  }
  if (lengthText !== undefined && Number(lengthText) <= SMALL_BYTES) {
    message.resume();
    return;
  }
  headers.connection = "close";
  const socket = message.socket;
  let left = DRAIN_BYTES;
  const timer = setTimeout(() => socket.destroy(), DRAIN_MS);
  message.on("data", (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) socket.destroySoon();
  });
  const over = () => clearTimeout(timer);
  message.once("end", over);
  message.once("close", over);
  outgoing.once("close", over);
  message.on("error", over);
  message.resume();
}
