import type { IncomingMessage } from "node:http";

/** What is worth reading of a refused body, so that its connection lives on. */
export const DRAIN_BYTES = 1024 * 1024;
const DRAIN_MS = 2000;

/**
 * Reads and drops the rest of a body that nobody wants, after the answer was written: closed with bytes unread, a
 * connection is reset, and the client sees that in place of the answer. Ends after `limitBytes` or `timeoutMs`, whichever
 * comes first. Where `Expect: 100-continue` was never answered the client may send nothing at all: close such a connection.
 *
 * @returns whether the body has ended, so that the connection may carry another request; false: close it
 */
export function drain(
  message: IncomingMessage,
  { limitBytes = DRAIN_BYTES, timeoutMs = DRAIN_MS } = {},
): Promise<boolean> {
  if (message.readableEnded) return Promise.resolve(true);
  if (message.destroyed) return Promise.resolve(false);
  return new Promise((resolve) => {
    let dropped = 0;
    const onData = (bytes: Buffer): void => {
      dropped += bytes.length;
      if (dropped > limitBytes) end(false);
    };
    const onEnd = (): void => end(true);
    const onGone = (): void => end(false);
    const timer = setTimeout(onGone, timeoutMs);
    const end = (ended: boolean): void => {
      clearTimeout(timer);
      message.off("data", onData).off("end", onEnd).off("close", onGone).off("error", onGone);
      if (!ended) message.pause();
      resolve(ended);
    };
    message.on("data", onData).on("end", onEnd).on("close", onGone).on("error", onGone);
    // A reader that stopped early has paused it.
    message.resume();
  });
}
