/** Longest head, chunk size line or trailer that is read: a server that sends more is broken. */
const MAX_LINES_BYTES = 32 * 1024;
/** A chunk's size line is short, and what comes after it is body: no more than this is made a string to look for its end. */
const LINE_STEP_BYTES = 64;

export interface ResponseHead {
  status: number;
  /** Everything before the body, as it came. */
  text: string;
}

type State = "head" | "length" | "chunk-size" | "chunk" | "chunk-end" | "trailer" | "until-close" | "done";

/**
 * Reads the responses of one HTTP/1.1 connection, one request after the other, and keeps nothing of a body: `onBody`
 * sees each piece where it lies, and must copy what it wants to keep, for the buffer is used again.
 */
export class ResponseParser {
  #state: State = "done";
  #method = "";
  #head: ResponseHead = { status: 0, text: "" };
  /** The part of a line or head that came in an earlier piece. */
  #carry = "";
  /** Bytes that the body, or the chunk, still has. */
  #left = 0;
  #closes = false;
  readonly #onBody: (piece: Buffer, from: number, to: number) => void;

  constructor(onBody: (piece: Buffer, from: number, to: number) => void) {
    this.#onBody = onBody;
  }

  get head(): ResponseHead {
    return this.#head;
  }

  /** Whether the server ends the connection after this response. */
  get closes(): boolean {
    return this.#closes;
  }

  /** A request was sent, and its response comes next. */
  expect(method: string): void {
    this.#method = method;
    this.#state = "head";
    this.#carry = "";
    this.#closes = false;
  }

  /**
   * Takes the first `bytes` of `piece`; true when the response is complete.
   *
   * @throws Error for what is no HTTP/1.1, and for bytes that no request asked for
   */
  push(piece: Buffer, bytes: number): boolean {
    let at = 0;
    while (at < bytes) {
      if (this.#state === "done") throw new Error(`${bytes - at} bytes came that belong to no response`);
      if (this.#state === "length" || this.#state === "chunk" || this.#state === "until-close")
        at = this.#body(piece, at, bytes);
      else at = this.#lines(piece, at, bytes);
    }
    return this.#state === "done";
  }

  /** The server ended the connection; true when the response was whole that way. */
  close(): boolean {
    if (this.#state === "until-close") this.#state = "done";
    return this.#state === "done";
  }

  #body(piece: Buffer, at: number, bytes: number): number {
    const to = this.#state === "until-close" ? bytes : Math.min(bytes, at + this.#left);
    this.#onBody(piece, at, to);
    if (this.#state === "until-close") return to;
    this.#left -= to - at;
    if (this.#left === 0) this.#state = this.#state === "length" ? "done" : "chunk-end";
    return to;
  }

  #lines(piece: Buffer, at: number, bytes: number): number {
    const end = this.#state === "head" ? "\r\n\r\n" : "\r\n";
    const to = Math.min(bytes, at + (this.#state === "head" ? MAX_LINES_BYTES : LINE_STEP_BYTES));
    const text = this.#carry + piece.toString("latin1", at, to);
    const found = text.indexOf(end);
    if (found < 0) {
      if (text.length >= MAX_LINES_BYTES) throw new Error(`no end of the response's ${this.#state}`);
      this.#carry = text;
      return to;
    }
    const next = at + found + end.length - this.#carry.length;
    this.#carry = "";
    this.#line(text.slice(0, found));
    return next;
  }

  #line(line: string): void {
    if (this.#state === "head") this.#readHead(line);
    else if (this.#state === "chunk-size") this.#readChunkSize(line);
    else if (this.#state === "chunk-end") {
      if (line !== "") throw new Error("a chunk is longer than its size");
      this.#state = "chunk-size";
    } else if (line === "") this.#state = "done";
  }

  #readHead(text: string): void {
    const status = Number(/^HTTP\/1\.1 (\d{3})( |\r|$)/.exec(text)?.[1] ?? Number.NaN);
    if (Number.isNaN(status)) throw new Error(`no HTTP/1.1 response: ${JSON.stringify(text.slice(0, 80))}`);
    // 100 Continue comes before the response proper.
    if (status < 200) return;
    this.#head = { status, text };
    this.#closes = /\r\nconnection: *close/i.test(text);
    if (this.#method === "HEAD" || status === 204 || status === 304) {
      this.#state = "done";
      return;
    }
    const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1];
    if (/\r\ntransfer-encoding: *chunked/i.test(text)) this.#state = "chunk-size";
    else if (length === undefined) this.#state = "until-close";
    else {
      this.#left = Number(length);
      this.#state = this.#left === 0 ? "done" : "length";
    }
  }

  #readChunkSize(line: string): void {
    const size = /^([0-9a-f]{1,12})[ \t]*(;|$)/i.exec(line)?.[1];
    if (size === undefined) throw new Error(`no chunk size: ${JSON.stringify(line.slice(0, 80))}`);
    this.#left = Number.parseInt(size, 16);
    this.#state = this.#left === 0 ? "trailer" : "chunk";
  }
}
