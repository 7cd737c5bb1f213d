import { createConnection, type Socket } from "node:net";
import { ResponseParser } from "./response-parser.js";

/** Sees each piece of a body where it lies; the buffer is used again. */
export type BodyReader = (piece: Buffer, from: number, to: number) => void;

const ignore: BodyReader = () => {};

/** One keep-alive connection with one request at a time, opened when first used and again when the server ended it. */
export class Connection {
  #socket: Socket | undefined;
  #reader: BodyReader = ignore;
  #settle: { resolve: () => void; reject: (error: Error) => void } | undefined;
  readonly #parser = new ResponseParser((piece, from, to) => this.#reader(piece, from, to));
  readonly #address: { host: string; port: number };
  /** Reads go straight into it: a buffer for each would cost more than the reading. */
  readonly #buffer: Buffer;
  /** Connections opened so far. */
  opened = 0;

  constructor(host: string, port: number, readBytes: number) {
    this.#address = { host, port };
    this.#buffer = Buffer.allocUnsafe(readBytes);
  }

  /** Sends a request; settled when its response is whole. @throws Error for a broken connection or response */
  request(method: string, head: Buffer, body: Buffer | undefined, reader: BodyReader = ignore): Promise<void> {
    this.#reader = reader;
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#parser.expect(method);
      this.#socket ??= this.#open();
      if (body === undefined) this.#socket.write(head);
      else {
        // One system call for both.
        this.#socket.cork();
        this.#socket.write(head);
        this.#socket.write(body);
        this.#socket.uncork();
      }
    });
  }

  get status(): number {
    return this.#parser.head.status;
  }

  get headText(): string {
    return this.#parser.head.text;
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  #open(): Socket {
    this.opened++;
    const socket = createConnection({
      ...this.#address,
      noDelay: true,
      onread: {
        buffer: this.#buffer,
        callback: (bytes) => {
          this.#read(socket, bytes);
          return true;
        },
      },
    });
    socket.on("error", (error) => this.#fail(socket, error));
    socket.on("end", () => {
      if (this.#parser.close()) this.#done();
    });
    socket.on("close", () => this.#fail(socket, new Error("the server closed the connection in a request")));
    return socket;
  }

  #read(socket: Socket, bytes: number): void {
    if (socket !== this.#socket) return;
    try {
      if (!this.#parser.push(this.#buffer, bytes)) return;
      if (this.#parser.closes) this.close();
      this.#done();
    } catch (error) {
      this.#fail(socket, error as Error);
    }
  }

  #done(): void {
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.resolve();
  }

  #fail(socket: Socket, error: Error): void {
    if (socket !== this.#socket) return;
    this.close();
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.reject(error);
  }
}
