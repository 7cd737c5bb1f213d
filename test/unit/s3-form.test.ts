import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FormParser, formBoundary, readForm } from "../../objectstore/body/form.js";
import { S3Error } from "../../src/errors/s3-error.js";
import { sha256 } from "./s3-requests.js";

const BOUNDARY = "----WebKitFormBoundary7MA4YWxkTrZu0gW";

interface Part {
  disposition: string;
  body: Buffer | string;
  type?: string;
}

const field = (name: string, body: Buffer | string): Part => ({ disposition: `form-data; name="${name}"`, body });
const file = (body: Buffer | string, filename = "a.txt"): Part => ({
  ...{ disposition: `form-data; name="file"; filename="${filename}"`, body, type: "text/plain" },
});

function encode(parts: readonly Part[], boundary = BOUNDARY): Buffer {
  const pieces = parts.flatMap(({ disposition, body, type }) => [
    Buffer.from(
      `--${boundary}\r\nContent-Disposition: ${disposition}\r\n${type ? `Content-Type: ${type}\r\n` : ""}\r\n`,
    ),
    Buffer.from(body),
    Buffer.from("\r\n"),
  ]);
  return Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)]);
}

interface Read {
  fields: [string, string][];
  filename: string | undefined;
  sha256: string | undefined;
}

async function* piecesOf(buffers: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* buffers;
}

async function read(buffers: readonly Buffer[], boundary = BOUNDARY): Promise<Read | { code: string }> {
  try {
    const form = await readForm(piecesOf(buffers), boundary);
    const bytes: Buffer[] = [];
    for await (const piece of form.file?.bytes ?? []) bytes.push(piece);
    await form.close();
    const fields = form.fields.map(({ name, value }): [string, string] => [name, value]);
    return { fields, filename: form.file?.filename, sha256: form.file && sha256(Buffer.concat(bytes)) };
  } catch (error) {
    if (error instanceof S3Error) return { code: error.code };
    throw error;
  }
}

const everyByte = (bytes: Buffer): Buffer[] => [...bytes].map((byte) => Buffer.from([byte]));

describe("forms", () => {
  it.each([
    ["multipart/form-data; boundary=abc", "abc"],
    ['Multipart/Form-Data; charset=utf-8; Boundary="a b"', "a b"],
    ["multipart/form-data; boundary=abc; charset=utf-8", "abc"],
    ["multipart/form-data", undefined],
    ["multipart/form-data; boundary=", undefined],
    ["multipart/mixed; boundary=abc", undefined],
    ["application/x-www-form-urlencoded", undefined],
    [undefined, undefined],
  ])("Content-Type %s: boundary %s", (type, boundary) => {
    expect(formBoundary(type)).toBe(boundary);
  });

  it("fields, then the file; what follows it is ignored", async () => {
    const parts = [field("key", "a/é"), field("Policy", ""), file("hello"), field("acl", "public-read"), file("other")];
    const expected = {
      fields: [
        ["key", "a/é"],
        ["Policy", ""],
      ],
      filename: "a.txt",
      sha256: sha256("hello"),
    };
    expect(await read([encode(parts)])).toEqual(expected);
    expect(await read(everyByte(encode(parts)))).toEqual(expected);
  });

  it("no file: its fields alone", async () => {
    expect(await read([encode([field("key", "a")])])).toEqual({
      fields: [["key", "a"]],
      filename: undefined,
      sha256: undefined,
    });
    expect(await read([Buffer.from(`--${BOUNDARY}--`)])).toEqual({
      fields: [],
      filename: undefined,
      sha256: undefined,
    });
  });

  it("file contents that look like boundaries: kept as they are", async () => {
    const tricky = [
      "\r\n",
      `\r\n--${BOUNDARY.slice(0, -1)}`,
      `--${BOUNDARY}`,
      "\r\n--",
      "-",
      "\r",
      `\n--${BOUNDARY}\r\n`,
      `\r\n-${BOUNDARY}`,
    ];
    for (const body of [...tricky, tricky.join("x"), ""]) {
      const form = encode([field("key", "k"), file(body)]);
      const expected = { fields: [["key", "k"]], filename: "a.txt", sha256: sha256(body) };
      expect(await read([form])).toEqual(expected);
      expect(await read(everyByte(form))).toEqual(expected);
    }
  });

  it("a preamble before the first boundary, bare or in lines: ignored", async () => {
    const form = encode([field("key", "k")]);
    for (const preamble of ["", "This is a multipart message.\r\n", "\r\n"]) {
      expect(await read([Buffer.from(preamble), form])).toHaveProperty("fields", [["key", "k"]]);
    }
  });

  it.each([
    ['form-data; name="file"; filename="C:\\dir\\sub\\x.txt"', "x.txt"],
    ['form-data; name="file"; filename="/home/a/x.txt"', "x.txt"],
    ['form-data; name="file"; filename="a\\"b;c.txt"', 'a"b;c.txt'],
    ['form-data; filename="é.txt"; name=file', "é.txt"],
    ["form-data; name=FILE; filename=plain.txt", "plain.txt"],
    ['form-data; name="file"', ""],
    ['form-data; name="file"; filename="dir/"', ""],
  ])("Content-Disposition: %s: file name `%s`", async (disposition, filename) => {
    expect(await read([encode([{ disposition, body: "x" }])])).toMatchObject({ filename, sha256: sha256("x") });
  });

  it.each([
    ["nothing", ""],
    ["another boundary", "--other\r\n\r\n--other--"],
    ["no disposition", `--${BOUNDARY}\r\nContent-Type: a\r\n\r\nx\r\n--${BOUNDARY}--`],
    ["no name", `--${BOUNDARY}\r\nContent-Disposition: form-data\r\n\r\nx\r\n--${BOUNDARY}--`],
    ["an attachment", `--${BOUNDARY}\r\nContent-Disposition: attachment; name="a"\r\n\r\nx\r\n--${BOUNDARY}--`],
    [
      "something behind a boundary",
      `--${BOUNDARY}x\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--${BOUNDARY}--`,
    ],
    ["bare line feeds", `--${BOUNDARY}\nContent-Disposition: form-data; name="a"\n\nx\n--${BOUNDARY}--`],
    ["a field that never ends", `--${BOUNDARY}\r\nContent-Disposition: form-data; name="a"\r\n\r\nx`],
    [
      "a file that never ends",
      `--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--${BOUNDARY.slice(1)}`,
    ],
  ])("%s: MalformedPOSTRequest", async (_what, text) => {
    expect(await read([Buffer.from(text)])).toEqual({ code: "MalformedPOSTRequest" });
    expect(await read(everyByte(Buffer.from(text)))).toEqual({ code: "MalformedPOSTRequest" });
  });

  it("a value that is not UTF-8: MalformedPOSTRequest", async () => {
    expect(await read([encode([field("key", Buffer.from([0xff]))])])).toEqual({ code: "MalformedPOSTRequest" });
  });

  it("fields of over 20 KB, one or many, or headers without an end: MaxPostPreDataLengthExceededError; the file counts not", async () => {
    const tooLarge = { code: "MaxPostPreDataLengthExceededError" };
    expect(await read([encode([field("key", Buffer.alloc(21_000, "a"))])])).toEqual(tooLarge);
    expect(await read([encode(Array.from({ length: 300 }, (_none, i) => field(`x-ignore-${i}`, "")))])).toEqual(
      tooLarge,
    );
    expect(await read([Buffer.from(`--${BOUNDARY}\r\n`), Buffer.alloc(21_000, "a")])).toEqual(tooLarge);
    expect(await read([Buffer.alloc(21_000, "a")])).toEqual(tooLarge);
    expect(await read([encode([file(Buffer.alloc(100_000, "a"))])])).toMatchObject({ filename: "a.txt" });
  });

  it("a large file: given out as it comes, and no more than a boundary held", () => {
    const parser = new FormParser(BOUNDARY);
    const body = randomBytes(1_000_000);
    const form = encode([field("key", "k"), file(body)]);
    let given = 0;
    for (let at = 0; at < form.length; at += 65_536) {
      const sent = Math.min(at + 65_536, form.length);
      for (const piece of parser.parse(form.subarray(at, sent))) given += piece.length;
      if (!parser.over) expect(sent - given).toBeLessThan(500);
    }
    expect(given).toBe(body.length);
  });

  it("any fields and file, cut anywhere: the same", async () => {
    const name = fc
      .string({ minLength: 1, maxLength: 10 })
      .filter((text) => !/["\\\r\n]/.test(text) && text.toLowerCase() !== "file");
    const body = fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.constantFrom("\r\n", `\r\n--${BOUNDARY}`.slice(0, 20)));
    const fields = fc.array(fc.tuple(name, fc.string({ unit: "grapheme", maxLength: 20 })), { maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(fields, body, fc.array(fc.nat(2000), { maxLength: 10 }), async (pairs, content, places) => {
        const bytes = Buffer.from(content as string);
        const form = encode([...pairs.map(([key, value]) => field(key, value)), file(bytes)]);
        const cuts = [0, ...places.filter((at) => at < form.length).sort((a, b) => a - b), form.length];
        const buffers = cuts.slice(1).map((end, i) => form.subarray(cuts[i], end));
        expect(await read(buffers)).toEqual({ fields: pairs, filename: "a.txt", sha256: sha256(bytes) });
      }),
    );
  });

  it("any garbage: a form or an S3Error, the same however it was cut", async () => {
    const piece = fc.oneof(
      fc.constantFrom(
        "\r\n",
        `--${BOUNDARY}`,
        "--",
        "\r\n\r\n",
        "Content-Disposition: form-data; name=",
        '"file"',
        "a",
        '; filename="',
      ),
      fc.uint8Array({ maxLength: 8 }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 20 }), async (parts) => {
        const bytes = Buffer.concat(parts.map((part) => Buffer.from(part as string)));
        expect(await read(everyByte(bytes))).toEqual(await read([bytes]));
      }),
      { numRuns: 1000 },
    );
  });
});
