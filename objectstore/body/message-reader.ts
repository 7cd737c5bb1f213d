import type { IncomingMessage } from "node:http";
import { S3Error } from "../../src/errors/s3-error.js";

/** How much may lie here unread before the socket is stopped: two reads of a socket. */
const HELD_BYTES = 128 * 1024;

/** The client went away, or sent less than it had announced. */
export function incompleteBody(cause?: unknown): S3Error {
  return new S3Error(
    "IncompleteBody",
    "You did not provide the number of bytes specified by the Content-Length HTTP header",
    { cause },
  );
}

/**
 * A request's body, buffer by buffer as the socket gave it, with backpressure. Node's own iterator of a message destroys
 * the connection when its reader leaves early; a client would not read why.
 */
export class MessageReader {
  private readonly held: Buffer[] = [];
  private heldBytes = 0;
  private state: "open" | "ended" | "failed" = "open";
  private cause: unknown;
  private waiting: (() => void) | undefined;

  constructor(private readonly message: IncomingMessage) {
    if (message.readableEnded) this.state = "ended";
    else if (message.destroyed) this.state = "failed";
    else {
      message.on("data", this.onData);
      message.on("end", this.onEnd);
      message.on("error", this.onFail);
      message.on("close", this.onFail);
    }
  }

  /** The next bytes, at once where some are there, or undefined at the end. @throws S3Error IncompleteBody */
  next(): Buffer | undefined | Promise<Buffer | undefined> {
    const bytes = this.held.shift();
    if (bytes) {
      this.heldBytes -= bytes.length;
      if (this.heldBytes < HELD_BYTES && this.state === "open" && this.message.isPaused()) this.message.resume();
      return bytes;
    }
    if (this.state === "ended") return undefined;
    if (this.state === "failed") throw incompleteBody(this.cause);
    return new Promise<void>((resolve) => {
      this.waiting = resolve;
    }).then(() => this.next());
  }

  /**
   * Lets go of the message and of what was read of it, at its end or earlier. What may still come is dropped, until the
   * server decides over the connection: a message that is left paused keeps it from its next request.
   */
  stop(): void {
    this.detach();
    this.held.length = 0;
    if (this.state === "open") this.message.resume();
  }

  private readonly onData = (bytes: Buffer): void => {
    this.held.push(bytes);
    this.heldBytes += bytes.length;
    if (this.heldBytes >= HELD_BYTES) this.message.pause();
    this.wake();
  };

  private readonly onEnd = (): void => this.over("ended");

  private readonly onFail = (cause?: unknown): void => {
    this.cause = cause;
    this.over("failed");
  };

  private over(state: "ended" | "failed"): void {
    if (this.state !== "open") return;
    this.state = state;
    this.detach();
    this.wake();
  }

  private detach(): void {
    this.message.off("data", this.onData);
    this.message.off("end", this.onEnd);
    this.message.off("error", this.onFail);
    this.message.off("close", this.onFail);
  }

  private wake(): void {
    const waiting = this.waiting;
    this.waiting = undefined;
    waiting?.();
  }
}

const NOTHING = Buffer.alloc(0);

/**
 * A body of a known, small length, whole. Mostly it came with the headers and lies in the message: then it is taken as it
 * is, without an event, a promise or a copy.
 *
 * @throws S3Error IncompleteBody
 */
export function gather(message: IncomingMessage, lengthBytes: number): Buffer | Promise<Buffer> {
  if (lengthBytes === 0) return NOTHING;
  if (message.readableFlowing === null) {
    const first = message.read() as Buffer | null;
    if (first?.length === lengthBytes) return first;
    return gatherRest(message, first === null ? [] : [first], lengthBytes);
  }
  return gatherRest(message, [], lengthBytes);
}

async function gatherRest(message: IncomingMessage, pieces: Buffer[], lengthBytes: number): Promise<Buffer> {
  const reader = new MessageReader(message);
  let missing = lengthBytes - pieces.reduce((sum, piece) => sum + piece.length, 0);
  try {
    while (missing > 0) {
      const bytes = await reader.next();
      if (!bytes) throw incompleteBody();
      pieces.push(bytes);
      missing -= bytes.length;
    }
  } finally {
    reader.stop();
  }
  return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces, lengthBytes);
}
