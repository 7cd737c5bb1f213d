import { isUtf8 } from "node:buffer";
import { S3Error } from "../../src/errors/s3-error.js";

/** S3: "the form data and boundaries (excluding the contents of the file) cannot exceed 20 KB". */
const MAX_FIELDS_BYTES = 20 * 1024;
const BOUNDARY = /;[ \t]*boundary=(?:"([^"\r\n]{1,200})"|([^\s;"]{1,200}))/i;
const FILE = "file";

const CRLF = Buffer.from("\r\n");
const HEADERS_END = Buffer.from("\r\n\r\n");

export interface FormField {
  /** As sent; field names match without case. */
  readonly name: string;
  readonly value: string;
}

export interface Form {
  /** Those before the file, in order. */
  readonly fields: readonly FormField[];
  /** What follows it is ignored. */
  readonly file: { readonly filename: string; readonly bytes: AsyncIterable<Buffer> } | undefined;
  /** Lets go of the request's body, wherever it stands. */
  close(): Promise<void>;
}

/** The boundary of a multipart/form-data Content-Type, or undefined where it is none. */
export function formBoundary(contentType: string | undefined): string | undefined {
  if (!contentType || !/^multipart\/form-data[ \t]*;/i.test(contentType)) return undefined;
  const match = BOUNDARY.exec(contentType);
  return match?.[1] ?? match?.[2];
}

/**
 * Reads a form (RFC 7578) up to its file, which is then read as it comes. To be closed, unless this throws.
 *
 * @throws S3Error MalformedPOSTRequest, MaxPostPreDataLengthExceededError; the file's bytes too where the form ends in them
 */
export async function readForm(pieces: AsyncIterable<Buffer>, boundary: string): Promise<Form> {
  const parser = new FormParser(boundary);
  const source = pieces[Symbol.asyncIterator]();
  const close = async (): Promise<void> => {
    await source.return?.();
  };
  try {
    let first: Buffer[] = [];
    while (!parser.file && !parser.over) {
      const step = await source.next();
      if (step.done) throw malformed();
      first = parser.parse(step.value);
    }
    const { fields, file } = parser;
    return { fields, file: file && { filename: file.filename, bytes: fileBytes(parser, source, first) }, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function* fileBytes(
  parser: FormParser,
  source: AsyncIterator<Buffer>,
  first: readonly Buffer[],
): AsyncGenerator<Buffer, void, undefined> {
  yield* first;
  while (!parser.over) {
    const step = await source.next();
    if (step.done) throw malformed();
    yield* parser.parse(step.value);
  }
}

/** Parses buffers cut anywhere. Holds the fields, and of the file no more than a boundary's length. */
export class FormParser {
  readonly fields: FormField[] = [];
  file: { readonly filename: string } | undefined;
  /** The file or the form has ended; no more bytes matter. */
  over = false;

  private state: "before" | "boundary" | "headers" | "field" | "file" = "before";
  // The first boundary stands at the start of a line too, which no line end precedes.
  private held: Buffer = CRLF;
  private readonly delimiter: Buffer;
  private name = "";
  private value: Buffer[] = [];
  private taken = 0;

  constructor(boundary: string) {
    this.delimiter = Buffer.from(`\r\n--${boundary}`, "latin1");
  }

  /** @returns the file's bytes, in order */
  parse(bytes: Buffer): Buffer[] {
    let rest = this.held.length === 0 ? bytes : Buffer.concat([this.held, bytes]);
    const file: Buffer[] = [];
    for (;;) {
      if (this.over) return file;
      const before = rest.length;
      const state = this.state;
      if (state === "boundary") rest = this.takeBoundaryEnd(rest);
      else if (state === "headers") rest = this.takeHeaders(rest);
      else rest = this.takeData(rest, file);
      if (rest.length === before && this.state === state) break;
    }
    this.held = rest;
    return file;
  }

  private takeData(bytes: Buffer, file: Buffer[]): Buffer {
    const at = bytes.indexOf(this.delimiter);
    // What could be the beginning of a boundary waits for the rest of it.
    const end = at >= 0 ? at : Math.max(0, bytes.length - this.delimiter.length + 1);
    const data = bytes.subarray(0, end);
    if (this.state === "file") {
      if (data.length > 0) file.push(data);
    } else {
      this.count(data.length);
      if (this.state === "field" && data.length > 0) this.value.push(Buffer.from(data));
    }
    if (at < 0) return bytes.subarray(end);
    if (this.state === "file") this.over = true;
    if (this.state === "field") this.fields.push({ name: this.name, value: textOf(Buffer.concat(this.value)) });
    this.value = [];
    this.state = "boundary";
    return bytes.subarray(at + this.delimiter.length);
  }

  /** A boundary is followed by a line end, the last one by two dashes. */
  private takeBoundaryEnd(bytes: Buffer): Buffer {
    if (bytes.length < 2) return bytes;
    this.count(this.delimiter.length + 2);
    const end = bytes.toString("latin1", 0, 2);
    if (end === "--") this.over = true;
    else if (end !== "\r\n") throw malformed();
    this.state = "headers";
    // The line end may belong to an empty list of headers as well.
    return end === "--" ? bytes.subarray(2) : bytes;
  }

  private takeHeaders(bytes: Buffer): Buffer {
    const end = bytes.indexOf(HEADERS_END);
    if (end < 0) {
      if (this.taken + bytes.length > MAX_FIELDS_BYTES) throw tooLarge();
      return bytes;
    }
    this.count(end + HEADERS_END.length);
    const disposition = dispositionOf(textOf(bytes.subarray(0, end)));
    this.name = disposition.name;
    this.state = this.name.toLowerCase() === FILE ? "file" : "field";
    if (this.state === "file") this.file = { filename: baseName(disposition.filename ?? "") };
    return bytes.subarray(end + HEADERS_END.length);
  }

  private count(bytes: number): void {
    this.taken += bytes;
    if (this.taken > MAX_FIELDS_BYTES) throw tooLarge();
  }
}

const DISPOSITION = /^content-disposition:[ \t]*form-data[ \t]*(;.*)$/i;
const PARAMETER = /;[ \t]*([A-Za-z*]+)=(?:"((?:[^"\\]|\\.)*)"|([^;"]*))/g;

/** Name and file name of a part (RFC 7578 section 4.2). */
function dispositionOf(headers: string): { name: string; filename: string | undefined } {
  for (const line of headers.split("\r\n")) {
    const parameters = DISPOSITION.exec(line)?.[1];
    if (parameters === undefined) continue;
    const found = new Map<string, string>();
    for (const [, name = "", quoted, token] of parameters.matchAll(PARAMETER)) {
      // A backslash escapes a quote alone: file names of some browsers are whole Windows paths.
      found.set(name.toLowerCase(), quoted?.replaceAll('\\"', '"') ?? (token ?? "").trim());
    }
    const name = found.get("name");
    if (name) return { name, filename: found.get("filename") };
  }
  throw malformed();
}

/** S3: "only the text following the last slash or backslash is used". */
function baseName(path: string): string {
  return path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
}

function textOf(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw malformed();
  return bytes.toString("utf8");
}

function malformed(): S3Error {
  return new S3Error("MalformedPOSTRequest", "The body of your POST request is not well-formed multipart/form-data.");
}

function tooLarge(): S3Error {
  return new S3Error(
    "MaxPostPreDataLengthExceededError",
    "Your POST request fields preceding the upload file were too large.",
    { fields: { MaxPostPreDataLengthBytes: String(MAX_FIELDS_BYTES) } },
  );
}
