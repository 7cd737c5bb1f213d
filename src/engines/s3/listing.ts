import { setMaxListeners } from "node:events";
import type { Bucket } from "../../model/bucket.js";
import type { VersionSummary } from "../../model/object.js";
import type { ListItem, ListPage, ListRequest, ListVersionsRequest } from "../object-engine.js";
import type { Context } from "../types.js";
import { textOf } from "./client.js";
import { findVersion, isVersionId, listedGeneration } from "./lookup.js";
import { inTurns, type Place, upstreamName } from "./place.js";
import { type ListedVersion, listedVersion, versionEntries, versionsPage } from "./version-entries.js";
import { decoded, parseAnswer, text } from "./xml.js";

const PAGE = 1000;
const AT_ONCE = 32;
/** Behind every key that begins with what stands before it: no key has this noncharacter next. */
const BEHIND = "\u{10ffff}";

type Grouping = Pick<ListRequest, "prefix" | "delimiter">;

/** The common prefix that a key lies under. */
export function groupOf(key: string, { prefix, delimiter }: Grouping): string | undefined {
  const at = delimiter === "" || !key.startsWith(prefix) ? -1 : key.indexOf(delimiter, prefix.length);
  return at === -1 ? undefined : key.slice(0, at + delimiter.length);
}

/** Behind a marker, and behind the common prefix that it lies under, which is answered before anything under it. */
export function behind(marker: string, grouping: Grouping): string {
  const group = marker === "" ? undefined : groupOf(marker, grouping);
  return askable(group === undefined ? marker : group + BEHIND);
}

/**
 * The upstream refuses a NUL anywhere, and no key of its has one: behind such a marker is what is behind its beginning, and
 * nothing begins with such a prefix, or is grouped by such a delimiter.
 */
const askable = (marker: string): string => marker.split("\0", 1)[0] as string;

export const hasNone = ({ prefix }: Grouping): boolean => prefix.includes("\0");

export const askableDelimiter = ({ delimiter }: Grouping): string | undefined =>
  delimiter === "" || delimiter.includes("\0") ? undefined : delimiter;

export const compare = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

export const inOrder = <T>(items: ListItem<T>[], keyOf: (entry: T) => string): ListItem<T>[] =>
  items.sort((a, b) => compare("prefix" in a ? a.prefix : keyOf(a.entry), "prefix" in b ? b.prefix : keyOf(b.entry)));

export async function list(place: Place, ctx: Context, request: ListRequest): Promise<ListPage<VersionSummary>> {
  const bucket = await place.book.known(ctx, request.bucket);
  const { prefix, limit } = request;
  if (hasNone(request)) return { items: [], truncated: false };
  const items: ListItem<ListedVersion>[] = [];
  let after = behind(request.after, request);
  for (let truncated = true; truncated && items.length < limit; ) {
    // A page that begins behind all keys: some upstreams begin anew.
    const query = {
      ...{
        "list-type": "2",
        "encoding-type": "url",
        prefix: prefix || undefined,
        delimiter: askableDelimiter(request),
      },
      ...{ "start-after": after || undefined, "max-keys": String(Math.min(limit - items.length, PAGE)) },
    };
    const asked = { method: "GET", bucket: upstreamName(place, bucket.name), query } as const;
    const root = parseAnswer(await textOf(await place.client.expect(ctx, asked, 200)), "ListBucketResult");
    const page: ListItem<ListedVersion>[] = [];
    for (const node of root.children) {
      if (node.name === "Contents") page.push({ entry: listedVersion(node) });
      else if (node.name === "CommonPrefixes") page.push({ prefix: decoded(text(node, "Prefix")) });
    }
    inOrder(page, ({ key }) => key);
    items.push(...page.filter((item) => isBehind(item, after)));
    truncated = text(root, "IsTruncated") === "true" && page.length > 0;
    const last = page[page.length - 1];
    if (last) after = "prefix" in last ? last.prefix + BEHIND : last.entry.key;
    if (items.length >= limit) return { items: await told(place, ctx, bucket, items), truncated };
  }
  return { items: await told(place, ctx, bucket, items), truncated: false };
}

const isBehind = (item: ListItem<ListedVersion>, after: string): boolean =>
  after === "" || compare("prefix" in item ? item.prefix : item.entry.key, after) > 0;

export async function listVersions(
  place: Place,
  ctx: Context,
  request: ListVersionsRequest,
): Promise<ListPage<VersionSummary>> {
  const bucket = await place.book.known(ctx, request.bucket);
  const { prefix, limit } = request;
  if (hasNone(request)) return { items: [], truncated: false };
  const delimiter = askableDelimiter(request) ?? "";
  const start = await versionsStart(place, ctx, bucket, request);
  const items: ListItem<ListedVersion>[] = start.first.map((entry) => ({ entry }));
  let { markers } = start;
  for (let truncated = true; truncated && items.length <= limit; ) {
    // One more than the page has room for says whether it is truncated.
    const page = await versionsPage(place, ctx, bucket.name, {
      ...{ prefix, delimiter, ...markers, limit: Math.min(limit + 1 - items.length, PAGE) },
    });
    const found = page.items.map((item): ListItem<ListedVersion> => ("prefix" in item ? item : { entry: item }));
    // Ceph's begin with the marked key itself now and then.
    const { keyMarker, versionIdMarker } = markers;
    items.push(...(versionIdMarker === "" ? found.filter((item) => isBehind(item, keyMarker)) : found));
    truncated = page.truncated && page.items.length > 0;
    markers = { keyMarker: page.nextKey, versionIdMarker: page.nextVersionId };
  }
  // Sorting is stable: within a key the newest stays first.
  const sorted = inOrder(items, ({ key }) => key);
  return { items: await told(place, ctx, bucket, sorted.slice(0, limit)), truncated: sorted.length > limit };
}

/**
 * Where a page begins: entries of the marked key that are known already, and what the upstream is asked on with. It goes on
 * behind a version that is there. Of one that is gone, as a client that removes what a page named asks on with it, nobody
 * knows the place: its key begins anew.
 */
async function versionsStart(place: Place, ctx: Context, bucket: Bucket, request: ListVersionsRequest) {
  const { versionIdMarker } = request;
  const keyMarker = behind(request.keyMarker, request);
  const none = { first: [], markers: { keyMarker, versionIdMarker: "" } };
  if (versionIdMarker === "" || keyMarker !== request.keyMarker || !keyMarker.startsWith(request.prefix)) return none;
  if (!isVersionId(versionIdMarker)) return none;
  if (await findVersion(place, ctx, bucket, keyMarker, versionIdMarker))
    return { first: [], markers: { keyMarker, versionIdMarker } };
  const first: ListedVersion[] = [];
  for await (const entry of versionEntries(place, ctx, bucket.name, keyMarker)) first.push(entry);
  const at = first.findIndex(({ versionId }) => versionId === versionIdMarker);
  return { ...none, first: first.slice(at + 1) };
}

/** What listings say, with what the upstream's do not: looked up one by one where the bucket is marked. */
async function told(
  place: Place,
  ctx: Context,
  bucket: Bucket,
  items: readonly ListItem<ListedVersion>[],
): Promise<ListItem<VersionSummary>[]> {
  if (items.length === 0 || !(await place.marks.isMarked(ctx, bucket)))
    return items.map((item) => ("prefix" in item ? item : { entry: summaryOf(bucket, item.entry) }));
  setMaxListeners(0, ctx.signal);
  const looked = await inTurns(items, AT_ONCE, async (item): Promise<ListItem<VersionSummary>> => {
    if ("prefix" in item) return item;
    const summary = summaryOf(bucket, item.entry);
    if (summary.deleteMarker) return { entry: summary };
    const { key, versionId } = summary;
    const found = await findVersion(place, ctx, bucket, key, versionId);
    if (!found) return { entry: summary };
    const { storageClass, ownerId, checksum, etag } = found.version;
    return { entry: { ...summary, storageClass, ownerId, checksum, etag } };
  });
  return looked;
}

function summaryOf(bucket: Bucket, listed: ListedVersion): VersionSummary {
  const generation = listedGeneration(listed.versionId, listed.etag, listed.lastModifiedMs);
  return { ...listed, storageClass: "STANDARD", ownerId: bucket.ownerId, checksum: null, generation };
}
