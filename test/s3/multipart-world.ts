import { createHash } from "node:crypto";
import { expect } from "vitest";
import type { RawAnswer } from "./exact-request.js";
import { text, type World } from "./s3-world.js";

export const MIB = 1024 ** 2;

/** An upload under way, by raw requests. */
export interface TestUpload {
  readonly id: string;
  readonly begun: RawAnswer;
  part(number: number, body: Buffer | string, headers?: Record<string, string>): Promise<RawAnswer>;
  /** With these parts, given as their answers, or as the XML in the document. */
  complete(parts: Record<number, RawAnswer | string>, headers?: Record<string, string>): Promise<RawAnswer>;
  abort(): Promise<RawAnswer>;
  list(query?: string): Promise<RawAnswer>;
}

/** Begins an upload of a key. */
export async function beginUpload(
  world: World,
  bucket: string,
  key = "k",
  headers: Record<string, string> = {},
): Promise<TestUpload> {
  const begun = await world.send(bucket, key, { method: "POST", query: "uploads", headers });
  expect([begun.status, begun.code]).toEqual([200, ""]);
  const id = text(begun, "UploadId") ?? "";
  const query = `uploadId=${encodeURIComponent(id)}`;
  return {
    id,
    begun,
    part: (number, body, more = {}) =>
      world.send(bucket, key, { method: "PUT", query: `partNumber=${number}&${query}`, body, headers: more }),
    complete: (parts, more = {}) =>
      world.send(bucket, key, { method: "POST", query, body: completion(parts), headers: more }),
    abort: () => world.send(bucket, key, { method: "DELETE", query }),
    list: (more = "") => world.send(bucket, key, { query: query + more }),
  };
}

/** A CompleteMultipartUpload document. */
export function completion(parts: Record<number, RawAnswer | string>): string {
  const elements = Object.entries(parts).map(([number, part]) => {
    const content = typeof part === "string" ? part : `<ETag>${part.headers.etag}</ETag>`;
    return `<Part><PartNumber>${number}</PartNumber>${content}</Part>`;
  });
  return `<CompleteMultipartUpload>${elements.join("")}</CompleteMultipartUpload>`;
}

/** `md5-of-md5s-N`, computed from the parts' bytes. */
export function etagOf(parts: readonly Buffer[]): string {
  const md5s = parts.map((part) => createHash("md5").update(part).digest());
  return `"${createHash("md5").update(Buffer.concat(md5s)).digest("hex")}-${parts.length}"`;
}
