import { refused } from "../../errors/storage-error.js";
import type { Bucket } from "../../model/bucket.js";
import { type Checksum, MAX_PARTS, type ObjectPart } from "../../model/object.js";
import type { UploadRef } from "../object-engine.js";
import type { Context } from "../types.js";
import { textOf } from "./client.js";
import { failureOfAnswer } from "./failures.js";
import { unquoted, wholeSeconds } from "./headers.js";
import { uploadFolder } from "./notes.js";
import { readPartNoteKey } from "./part-notes.js";
import { type Place, upstreamName } from "./place.js";

import { parseAnswer, text } from "./xml.js";

const PAGE = 1000;

/** Parts as the upstream has them, with the checksums that are noted of them. @throws no-such-upload */
export async function listedParts(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  ref: UploadRef,
  after: number,
  limit: number,
): Promise<{ parts: ObjectPart[]; truncated: boolean }> {
  const parts: ObjectPart[] = [];
  let marker = after;
  for (let more = after < MAX_PARTS; more && parts.length <= limit; ) {
    const page = await partsPage(place, ctx, bucket, ref, marker, Math.min(PAGE, limit + 1 - parts.length));
    parts.push(...page.parts);
    marker = parts[parts.length - 1]?.number ?? MAX_PARTS;
    more = page.truncated && page.parts.length > 0;
  }
  const told = parts.slice(0, limit);
  const last = told[told.length - 1]?.number;
  if (last === undefined) return { parts: [], truncated: false };
  const checksums = await checksumsOf(place, ctx, bucket, ref.uploadId, after, last);
  return {
    parts: told.map((part) => ({ ...part, checksum: checksums.get(`${part.number} ${part.etag}`) ?? null })),
    truncated: parts.length > limit,
  };
}

async function partsPage(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  { key, uploadId }: UploadRef,
  after: number,
  limit: number,
): Promise<{ parts: ObjectPart[]; truncated: boolean }> {
  const query = {
    ...{ uploadId, "max-parts": String(limit) },
    "part-number-marker": after === 0 ? undefined : String(after),
  };
  const request = { method: "GET", bucket: upstreamName(place, bucket.name), key, query } as const;
  const response = await place.client.send(ctx, request);
  const answer = await textOf(response);
  if (response.status === 404)
    throw refused("no-such-upload", "the upload is not there: it may have been completed or aborted");
  if (response.status !== 200) throw failureOfAnswer(request, response.status, answer);
  const root = parseAnswer(answer, "ListPartsResult");
  const parts = root.children
    .filter(({ name }) => name === "Part")
    .map((node) => ({
      number: Number(text(node, "PartNumber")),
      sizeBytes: Number(text(node, "Size")),
      etag: unquoted(text(node, "ETag")),
      lastModifiedMs: wholeSeconds(Date.parse(text(node, "LastModified"))),
      checksum: null,
    }));
  return { parts, truncated: text(root, "IsTruncated") === "true" };
}

async function checksumsOf(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  uploadId: string,
  after: number,
  last: number,
): Promise<Map<string, Checksum>> {
  const folder = `${uploadFolder(bucket.name, uploadId)}parts/`;
  const checksums = new Map<string, Checksum>();
  const from = `${folder}${String(after + 1).padStart(5, "0")}`;
  for await (const key of place.notes.keys(ctx, folder, from)) {
    const note = readPartNoteKey(key);
    if (!note) continue;
    if (note.number > last) break;
    checksums.set(`${note.number} ${note.md5}`, note.checksum);
  }
  return checksums;
}
