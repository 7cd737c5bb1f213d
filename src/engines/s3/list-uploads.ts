import { setMaxListeners } from "node:events";
import type { Bucket } from "../../model/bucket.js";
import type { Upload } from "../../model/object.js";
import type { ListItem, ListPage, ListUploadsRequest } from "../object-engine.js";
import type { Context } from "../types.js";
import { textOf } from "./client.js";
import { behind, groupOf } from "./listing.js";
import { inTurns, type Place, upstreamName } from "./place.js";
import { type UploadNote, uploadNoteKey } from "./uploads.js";
import { decoded, parseAnswer, text } from "./xml.js";

const PAGE = 1000;
const AT_ONCE = 32;

/** What the upstream says of an upload. */
interface Begun {
  readonly key: string;
  readonly uploadId: string;
  readonly initiatedMs: number;
}

/**
 * By key, within a key the oldest first. The upstream has the uploads of a key in the order of their ids, which have none of
 * time: they are taken whole, and put in order here.
 */
export async function listUploads(place: Place, ctx: Context, request: ListUploadsRequest): Promise<ListPage<Upload>> {
  const bucket = await place.book.known(ctx, request.bucket);
  const { limit } = request;
  const items: ListItem<Begun>[] = [];
  let truncated = false;
  for await (const sameKey of keysOf(place, ctx, bucket, request)) {
    const group = groupOf((sameKey[0] as Begun).key, request);
    const last = items[items.length - 1];
    if (group !== undefined && last && "prefix" in last && last.prefix === group) continue;
    if (items.length >= limit) {
      truncated = true;
      break;
    }
    if (group !== undefined) items.push({ prefix: group });
    else items.push(...sameKey.map((entry) => ({ entry })));
  }
  truncated ||= items.length > limit;
  return { items: await told(place, ctx, bucket, items.slice(0, limit)), truncated };
}

/** The uploads of each key behind the markers, the oldest first. */
async function* keysOf(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  request: ListUploadsRequest,
): AsyncGenerator<Begun[], void, undefined> {
  const { prefix, keyMarker, uploadIdMarker } = request;
  const start = behind(keyMarker, request);
  if (start === keyMarker && uploadIdMarker !== "" && keyMarker.startsWith(prefix)) {
    const marked = await ofKey(place, ctx, bucket, keyMarker);
    const at = marked.findIndex(({ uploadId }) => uploadId === uploadIdMarker);
    const rest = at === -1 ? [] : marked.slice(at + 1);
    if (rest.length > 0) yield rest;
  }
  let same: Begun[] = [];
  for await (const begun of entries(place, ctx, bucket, prefix, start)) {
    if (same.length > 0 && same[0]?.key !== begun.key) {
      yield oldestFirst(same);
      same = [];
    }
    same.push(begun);
  }
  if (same.length > 0) yield oldestFirst(same);
}

const oldestFirst = (uploads: Begun[]): Begun[] =>
  uploads.sort((a, b) => a.initiatedMs - b.initiatedMs || (a.uploadId < b.uploadId ? -1 : 1));

async function ofKey(place: Place, ctx: Context, bucket: Bucket, key: string): Promise<Begun[]> {
  const uploads: Begun[] = [];
  for await (const begun of entries(place, ctx, bucket, key, "")) {
    if (begun.key !== key) break;
    uploads.push(begun);
  }
  return oldestFirst(uploads);
}

async function* entries(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  prefix: string,
  start: string,
): AsyncGenerator<Begun, void, undefined> {
  let keyMarker = start;
  let uploadIdMarker = "";
  for (let truncated = true; truncated; ) {
    const query = {
      ...{ uploads: "", "encoding-type": "url", "max-uploads": String(PAGE), prefix: prefix || undefined },
      ...{ "key-marker": keyMarker || undefined, "upload-id-marker": uploadIdMarker || undefined },
    };
    const request = { method: "GET", bucket: upstreamName(place, bucket.name), query } as const;
    const root = parseAnswer(await textOf(await place.client.expect(ctx, request, 200)), "ListMultipartUploadsResult");
    let any = false;
    for (const node of root.children) {
      if (node.name !== "Upload") continue;
      any = true;
      const key = decoded(text(node, "Key"));
      yield { key, uploadId: text(node, "UploadId"), initiatedMs: Date.parse(text(node, "Initiated")) };
    }
    truncated = text(root, "IsTruncated") === "true" && any;
    keyMarker = decoded(text(root, "NextKeyMarker"));
    uploadIdMarker = text(root, "NextUploadIdMarker");
  }
}

async function told(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  items: readonly ListItem<Begun>[],
): Promise<ListItem<Upload>[]> {
  setMaxListeners(0, ctx.signal);
  return inTurns(items, AT_ONCE, async (item): Promise<ListItem<Upload>> => {
    if ("prefix" in item) return item;
    const note = await place.notes.read<UploadNote>(ctx, uploadNoteKey(bucket.name, item.entry.uploadId));
    return { entry: note?.value.upload ?? foreign(bucket, item.entry) };
  });
}

/** One that was begun by another way, or whose gateway died at its beginning: it can be aborted. */
function foreign(bucket: Bucket, begun: Begun): Upload {
  const attributes = {
    ...{ contentType: "binary/octet-stream", system: [], user: [], storageClass: "STANDARD", tags: [] },
    ...{ acl: null, ownerId: bucket.ownerId, retention: null, legalHold: null },
  };
  return { ...begun, initiatorId: bucket.ownerId, attributes, checksumAlgorithm: null, checksumType: "FULL_OBJECT" };
}
