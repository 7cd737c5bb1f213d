import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ResponseParser } from "../bench/objects/response-parser.js";

/** Feeds a connection's bytes in the given pieces; answers what was read. */
function read(method: string, pieces: readonly Buffer[]) {
  const body: Buffer[] = [];
  const parser = new ResponseParser((piece, from, to) => body.push(Buffer.from(piece.subarray(from, to))));
  parser.expect(method);
  const whole = pieces.map((piece) => parser.push(piece, piece.length)).at(-1) ?? false;
  return { whole, status: parser.head.status, closes: parser.closes, body: Buffer.concat(body).toString(), parser };
}
const bytes = (...lines: string[]) => Buffer.from(lines.join("\r\n"));

const PLAIN = bytes("HTTP/1.1 200 OK", "Content-Length: 5", "", "hello");
const CHUNKED = bytes(
  "HTTP/1.1 200 OK",
  "transfer-encoding: chunked",
  "",
  "5;x=y",
  "hello",
  "A",
  "0123456789",
  "0",
  "x-trailer: 1",
  "",
  "",
);

describe("a response", () => {
  it("of a known length", () => {
    expect(read("GET", [PLAIN])).toMatchObject({ whole: true, status: 200, body: "hello", closes: false });
  });

  it("in chunks, with an extension and a trailer", () => {
    expect(read("GET", [CHUNKED])).toMatchObject({ whole: true, body: "hello0123456789" });
  });

  it("in any pieces is the same", () => {
    const cuts = fc.array(fc.nat(CHUNKED.length), { maxLength: 12 });
    fc.assert(
      fc.property(fc.constantFrom(PLAIN, CHUNKED), cuts, (response, at) => {
        const ends = [...new Set([...at.filter((cut) => cut < response.length), response.length])].sort(
          (a, b) => a - b,
        );
        const pieces = ends
          .map((end, i) => response.subarray(ends[i - 1] ?? 0, end))
          .filter(({ length }) => length > 0);
        const expected = response === PLAIN ? "hello" : "hello0123456789";
        expect(read("GET", pieces)).toMatchObject({ whole: true, body: expected });
      }),
    );
  });

  it("to HEAD has a length and no body", () => {
    const head = bytes("HTTP/1.1 200 OK", "content-length: 5", "", "");
    expect(read("HEAD", [head])).toMatchObject({ whole: true, body: "" });
    expect(read("GET", [head]).whole).toBe(false);
  });

  it("204 and 304 have no body", () => {
    expect(read("DELETE", [bytes("HTTP/1.1 204 No Content", "", "")])).toMatchObject({ whole: true, status: 204 });
    expect(read("GET", [bytes("HTTP/1.1 304 Not Modified", "content-length: 9", "", "")]).whole).toBe(true);
  });

  it("after 100 Continue", () => {
    const response = Buffer.concat([bytes("HTTP/1.1 100 Continue", "", ""), PLAIN]);
    expect(read("PUT", [response])).toMatchObject({ whole: true, status: 200, body: "hello" });
  });

  it("without a length ends with the connection", () => {
    const { whole, closes, body, parser } = read("GET", [bytes("HTTP/1.1 200 OK", "Connection: close", "", "abc")]);
    expect({ whole, closes, body }).toEqual({ whole: false, closes: true, body: "abc" });
    expect(parser.close()).toBe(true);
  });

  it("cut short by the connection's end is not whole", () => {
    expect(read("GET", [PLAIN.subarray(0, -1)]).parser.close()).toBe(false);
  });

  it("the next one on the same connection", () => {
    const { parser } = read("GET", [PLAIN]);
    parser.expect("DELETE");
    expect(parser.push(bytes("HTTP/1.1 204 No Content", "", ""), 27)).toBe(true);
    expect(parser.head.status).toBe(204);
  });

  it("bytes after its end are an error", () => {
    expect(() => read("GET", [Buffer.concat([PLAIN, Buffer.from("x")])])).toThrow(/belong to no response/);
  });

  it("what is no HTTP is an error", () => {
    expect(() => read("GET", [bytes("SSH-2.0-x", "", "", "")])).toThrow(/no HTTP\/1.1/);
    expect(() => read("GET", [bytes("HTTP/1.1 200 OK", "transfer-encoding: chunked", "", "zz", "")])).toThrow(
      /chunk size/,
    );
  });

  it("a head without end is an error", () => {
    expect(() => read("GET", [Buffer.alloc(40_000, "a")])).toThrow(/no end of the response's head/);
  });
});
