import { setMaxListeners } from "node:events";
import type { Bucket } from "../../model/bucket.js";
import type { Upload } from "../../model/object.js";
import type { ListItem, ListPage, ListUploadsRequest } from "../object-engine.js";
import type { Context } from "../types.js";
import { textOf } from "./client.js";
import { behind, compare, groupOf, hasNone } from "./listing.js";
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
 * By key, within a key the oldest first. Ceph has them in the order of `key.id`, which is not that of the keys, and its
 * markers go by it too: all that have the prefix are taken and put in order here, so a page costs as all of them do.
 */
export async function listUploads(place: Place, ctx: Context, request: ListUploadsRequest): Promise<ListPage<Upload>> {
  const bucket = await place.book.known(ctx, request.bucket);
  const { limit } = request;
  if (hasNone(request)) return { items: [], truncated: false };
  const items: ListItem<Begun>[] = [];
  let group: string | undefined;
  for (const begun of behindMarkers(await allBegun(place, ctx, bucket, request.prefix), request)) {
    if (group !== undefined && begun.key.startsWith(group)) continue;
    group = groupOf(begun.key, request);
    items.push(group === undefined ? { entry: begun } : { prefix: group });
    if (items.length > limit) break;
  }
  return { items: await told(place, ctx, bucket, items.slice(0, limit)), truncated: items.length > limit };
}

function behindMarkers(sorted: readonly Begun[], request: ListUploadsRequest): readonly Begun[] {
  const { keyMarker, uploadIdMarker } = request;
  if (keyMarker === "") return sorted;
  const start = behind(keyMarker, request);
  const resumes = start === keyMarker && uploadIdMarker !== "";
  const marked = resumes
    ? sorted.findIndex(({ key, uploadId }) => key === keyMarker && uploadId === uploadIdMarker)
    : -1;
  if (marked !== -1) return sorted.slice(marked + 1);
  const first = sorted.findIndex(({ key }) => compare(key, start) > 0);
  return first === -1 ? [] : sorted.slice(first);
}

async function allBegun(place: Place, ctx: Context, bucket: Bucket, prefix: string): Promise<Begun[]> {
  const found: Begun[] = [];
  for await (const begun of entries(place, ctx, bucket, prefix)) found.push(begun);
  const bytes = new Map(found.map(({ key }) => [key, Buffer.from(key)]));
  return found.sort(
    (a, b) =>
      Buffer.compare(bytes.get(a.key) as Buffer, bytes.get(b.key) as Buffer) ||
      a.initiatedMs - b.initiatedMs ||
      (a.uploadId < b.uploadId ? -1 : 1),
  );
}

async function* entries(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  prefix: string,
): AsyncGenerator<Begun, void, undefined> {
  let keyMarker = "";
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
