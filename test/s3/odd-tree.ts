import { createHash, randomBytes } from "node:crypto";
import {
  closeSync,
  createReadStream,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";

/** File names that have broken clients and servers: each is stored and comes back as it is. */
export const ODD_NAMES = [
  "plain.txt",
  "with space.txt",
  " leading space",
  "trailing space ",
  "double  space",
  "trailing dot.",
  ".hidden",
  ".hidden folder/.also hidden",
  "...",
  "plus+plus.txt",
  "percent%20encoded",
  "100%",
  "%",
  "%2F",
  "%zz",
  "hash#mark",
  "question?mark=1&x=2",
  "amp&ersand<tag>\"quoted\"'single'",
  "semi;colon,comma:colon",
  "equals=at@dollar$",
  "brackets[1]{2}(3)",
  "star*caret^pipe|tick`tilde~",
  "ünïcödé.txt",
  // The same letters twice: one character, and a letter with a combining mark.
  "caf\u00e9",
  "cafe\u0301",
  "日本語/ファイル.txt",
  "עברית/العربية",
  "emoji 🎉👩‍👩‍👧 party.bin",
  // Above U+FFFF, before and after which UTF-8 and UTF-16 order differently.
  "order/\uffee",
  "order/\u{10400}",
  "deep/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/end",
  "a/b",
  "a.b",
  "a-b",
  "a0b",
  // Clients add to a name while they write the file, and no name may have more than 255 bytes.
  `long/${"n".repeat(200)}/${"m".repeat(180)}`,
  "same-name/same-name/same-name",
] as const;

/** Makes the files, of many sizes: none, a few bytes, over a chunk, over a part. */
export function makeOddTree(dir: string, names: readonly string[] = ODD_NAMES): void {
  for (const [i, name] of names.entries()) writeTreeFile(dir, name, randomBytes((i * 7919) % 20_000));
  writeTreeFile(dir, "sizes/empty", Buffer.alloc(0));
  writeTreeFile(dir, "sizes/one", Buffer.from("1"));
  writeTreeFile(dir, "sizes/64 KiB", randomBytes(64 * 1024));
  writeTreeFile(dir, "sizes/6 MiB", randomBytes(6 * 1024 ** 2));
}

export function writeTreeFile(dir: string, name: string, data: Buffer | string): void {
  const path = join(dir, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, data);
}

/** Each file's path under the folder, with the SHA-256 of what is in it. */
export function treeOf(dir: string): Record<string, string> {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map(({ parentPath, name }) => join(parentPath, name).slice(dir.length + 1)).sort();
  return Object.fromEntries(paths.map((path) => [path, sha256(readFileSync(join(dir, path)))]));
}

export const sha256 = (data: Buffer | string): string => createHash("sha256").update(data).digest("hex");

export const LARGE_BYTES = 200 * 1024 ** 2;

/** 200 MiB that no compression makes small. @returns their SHA-256 */
export function makeLargeFile(path: string, bytes = LARGE_BYTES): string {
  const hash = createHash("sha256");
  const file = openSync(path, "w");
  for (let left = bytes; left > 0; left -= BLOCK) {
    const block = randomBytes(Math.min(left, BLOCK));
    hash.update(block);
    writeSync(file, block);
  }
  closeSync(file);
  return hash.digest("hex");
}

const BLOCK = 4 * 1024 ** 2;

/** Of a file that is too large to hold in memory. */
export async function sha256File(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: BLOCK })) hash.update(chunk as Buffer);
  return hash.digest("hex");
}
