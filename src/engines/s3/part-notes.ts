import type { Checksum, ChecksumAlgorithm } from "../../model/object.js";

/**
 * The checksum of a part lies in the name of an empty note, under the part's number and MD5: of parts that came at once
 * under one number, the upstream has one, and its MD5 says which note is of it. A listing reads a thousand of them at once.
 */
export function partNoteKey(folder: string, number: number, md5: string, checksum: Checksum): string {
  const kind = `${checksum.algorithm}-${checksum.type === "COMPOSITE" ? "C" : "F"}`;
  const value = Buffer.from(checksum.value).toString("base64url");
  return `${folder}parts/${String(number).padStart(5, "0")}/${md5}/${kind}/${value}`;
}

export function readPartNoteKey(key: string): { number: number; md5: string; checksum: Checksum } | undefined {
  const match = /\/parts\/(\d{5})\/([^/]+)\/([A-Z0-9]+)-([CF])\/([A-Za-z0-9_-]*)$/.exec(key);
  if (!match) return undefined;
  const [, number = "", md5 = "", algorithm, type, value = ""] = match;
  const checksum: Checksum = {
    algorithm: algorithm as ChecksumAlgorithm,
    type: type === "C" ? "COMPOSITE" : "FULL_OBJECT",
    value: Buffer.from(value, "base64url").toString(),
  };
  return { number: Number(number), md5, checksum };
}
