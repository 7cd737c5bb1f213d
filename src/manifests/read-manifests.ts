import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { LineCounter, parseAllDocuments } from "yaml";
import { invalid, messageOf } from "../errors/storage-error.js";

/** Where a document stands, for messages. `document` counts from 1. */
export interface Place {
  file: string;
  document: number;
  line: number;
}

export interface RawDocument {
  place: Place;
  value: unknown;
}

export const showPlace = (place: Place): string => `${place.file}, document ${place.document} (line ${place.line})`;

export interface ReadOptions {
  recursive: boolean;
  stdin: AsyncIterable<Buffer | string>;
}

const MAX_FILE_BYTES = 16 * 1024 * 1024;
// Kubernetes' own parser refuses alias bombs too; real manifests use a handful.
const MAX_ALIASES = 100;
const MAX_DEPTH = 100;
const MANIFEST_FILE = /\.(ya?ml|json)$/;

/**
 * Every document of the files, folders ("*.yaml", "*.yml", "*.json", in the order of their names) and "-" (stdin).
 *
 * @throws StorageError invalid-argument naming the file, and for a syntax error the line
 */
export async function readManifests(paths: readonly string[], options: ReadOptions): Promise<RawDocument[]> {
  const found: RawDocument[] = [];
  if (paths.filter((path) => path === "-").length > 1) throw invalid("-f -: stdin can be read once only");
  for (const path of paths) {
    if (path === "-") {
      found.push(...parseManifestText("stdin", await readStream(options.stdin)));
      continue;
    }
    for (const file of await manifestFiles(path, options.recursive))
      found.push(...parseManifestText(file, await readLimited(file)));
  }
  if (found.length === 0) throw invalid(`no objects in ${paths.join(", ")}`);
  return found;
}

async function manifestFiles(path: string, recursive: boolean): Promise<string[]> {
  const found = await stat(path).catch((error: unknown) => {
    throw invalid(`-f ${path}: ${reason(error)}`);
  });
  if (!found.isDirectory()) return [path];
  const entries = await readdir(path, { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  const files: string[] = [];
  for (const entry of entries) {
    const child = join(path, entry.name);
    if (entry.isDirectory() && recursive) files.push(...(await manifestFiles(child, true)));
    else if (!entry.isDirectory() && MANIFEST_FILE.test(entry.name)) files.push(child);
  }
  return files;
}

async function readLimited(path: string): Promise<string> {
  const file = await open(path, "r").catch((error: unknown) => {
    throw invalid(`-f ${path}: ${reason(error)}`);
  });
  try {
    return await readStream(file.createReadStream({ autoClose: false, end: MAX_FILE_BYTES }), path);
  } finally {
    await file.close();
  }
}

async function readStream(stream: AsyncIterable<Buffer | string>, name = "stdin"): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    const buffer = Buffer.from(chunk);
    bytes += buffer.length;
    if (bytes > MAX_FILE_BYTES) throw invalid(`${name}: larger than ${MAX_FILE_BYTES / 1024 / 1024} MiB`);
    chunks.push(buffer);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw invalid(`${name}: is not UTF-8 text`);
  }
}

/** The documents of a text; empty ones are left out. JSON is YAML too. */
export function parseManifestText(file: string, text: string): RawDocument[] {
  const lines = new LineCounter();
  const found: RawDocument[] = [];
  try {
    const documents = parseAllDocuments(text, {
      lineCounter: lines,
      uniqueKeys: true,
      merge: true,
      prettyErrors: false,
    });
    if (!Array.isArray(documents)) return [];
    for (const [index, document] of documents.entries()) {
      const [error] = document.errors;
      // The node's own place, not the document's: what stands before it are comments.
      const start = error?.pos[0] ?? document.contents?.range?.[0] ?? document.range[0];
      const place = { file, document: index + 1, line: lines.linePos(start).line || 1 };
      if (error) throw invalid(`${showPlace(place)}: ${error.message}`);
      const value = withoutNulls(document.toJS({ maxAliasCount: MAX_ALIASES }), place, 0);
      if (value !== undefined) found.push({ place, value });
    }
  } catch (error) {
    if (error instanceof RangeError || error instanceof ReferenceError)
      throw invalid(`${file}: nested too deeply, or too many aliases: ${messageOf(error)}`);
    throw error;
  }
  return found;
}

/** Kubernetes reads a field that is null as one that is absent. */
function withoutNulls(value: unknown, place: Place, depth: number): unknown {
  if (depth > MAX_DEPTH) throw invalid(`${showPlace(place)}: nested more than ${MAX_DEPTH} levels deep`);
  if (value === null || value === undefined) return undefined;
  if (Array.isArray(value)) return value.map((item) => withoutNulls(item, place, depth + 1) ?? null);
  if (typeof value !== "object") return value;
  const kept: Record<string, unknown> = {};
  for (const [key, child] of Object.entries(value)) {
    if (key === "__proto__") throw invalid(`${showPlace(place)}: a field cannot be named ${key}`);
    const cleaned = withoutNulls(child, place, depth + 1);
    if (cleaned !== undefined) kept[key] = cleaned;
  }
  return kept;
}

function reason(error: unknown): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case "ENOENT":
      return "there is no such file or folder";
    case "EACCES":
      return "may not be read by this user";
    default:
      return messageOf(error);
  }
}
