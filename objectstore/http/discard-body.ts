import type { IncomingMessage } from "node:http";

// So little is read in any case, and the connection goes on.
const SMALL_BYTES = 256 * 1024;
// A client writes its whole body before it reads an answer, or fails with EPIPE: so much is read and thrown away.
const DRAIN_BYTES = 8 * 1024 ** 2;
const DRAIN_MS = 5_000;

/**
 * Sees to the rest of a body that nobody will read, when its answer is known already. Where the connection cannot go on,
 * a bounded rest is taken from the client first: a socket that is closed with bytes unread is reset, and the client would
 * lose the answer.
 *
 * @param continued whether a client that waits for `100 Continue` was told to go on; if not, it sends nothing more
 * @returns what the end of the answer, but not the answer, is to wait for; undefined: nothing
 */
export function discardBody(
  message: IncomingMessage,
  headers: Record<string, string>,
  continued: boolean,
): Promise<void> | undefined {
  const lengthText = message.headers["content-length"];
  const hasBody =
    message.headers["transfer-encoding"] !== undefined || (lengthText !== undefined && lengthText !== "0");
  if (!hasBody || message.destroyed) return undefined;
  if (message.headers.expect !== undefined && !continued) {
    headers.connection = "close";
    return undefined;
  }
  if (lengthText !== undefined && Number(lengthText) <= SMALL_BYTES) {
    message.resume();
    return undefined;
  }
  headers.connection = "close";
  return new Promise((resolve) => {
    let left = DRAIN_BYTES;
    const onData = (chunk: Buffer): void => {
      left -= chunk.length;
      if (left < 0) over();
    };
    const over = (): void => {
      clearTimeout(timer);
      message.off("data", onData).off("end", over).off("close", over).off("error", over);
      resolve();
    };
    const timer = setTimeout(over, DRAIN_MS);
    message.on("data", onData).on("end", over).on("close", over).on("error", over);
    message.resume();
  });
}
