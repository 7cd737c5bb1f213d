import { NULL_VERSION, type VersionSummary } from "../../model/object.js";
import type { Context } from "../types.js";
import { textOf } from "./client.js";
import { unquoted, wholeSeconds } from "./headers.js";
import { type Place, upstreamName } from "./place.js";
import { decoded, parseAnswer, text, type XmlNode } from "./xml.js";

/** What the upstream's listings say of a version. */
export type ListedVersion = Omit<VersionSummary, "storageClass" | "ownerId" | "checksum" | "generation">;

export function listedVersion(node: XmlNode): ListedVersion {
  const deleteMarker = node.name === "DeleteMarker";
  return {
    key: decoded(text(node, "Key")),
    versionId: text(node, "VersionId") || NULL_VERSION,
    isLatest: text(node, "IsLatest") !== "false",
    deleteMarker,
    lastModifiedMs: wholeSeconds(Date.parse(text(node, "LastModified"))),
    etag: deleteMarker ? "" : unquoted(text(node, "ETag")),
    sizeBytes: deleteMarker ? 0 : Number(text(node, "Size")),
  };
}

export interface VersionsPage {
  readonly items: readonly ({ prefix: string } | ListedVersion)[];
  readonly truncated: boolean;
  readonly nextKey: string;
  readonly nextVersionId: string;
}

export interface VersionsQuery {
  readonly prefix: string;
  readonly delimiter?: string;
  readonly keyMarker: string;
  readonly versionIdMarker: string;
  readonly limit: number;
}

/** One page of the upstream's listing of versions. */
export async function versionsPage(
  place: Place,
  ctx: Context,
  bucket: string,
  { prefix, delimiter, keyMarker, versionIdMarker, limit }: VersionsQuery,
): Promise<VersionsPage> {
  const query = {
    ...{ versions: "", "encoding-type": "url", prefix: prefix || undefined, delimiter: delimiter || undefined },
    ...{ "key-marker": keyMarker || undefined, "version-id-marker": versionIdMarker || undefined },
    "max-keys": String(Math.min(limit, 1000)),
  };
  const request = { method: "GET", bucket: upstreamName(place, bucket), query } as const;
  const root = parseAnswer(await textOf(await place.client.expect(ctx, request, 200)), "ListVersionsResult");
  const items: ({ prefix: string } | ListedVersion)[] = [];
  for (const node of root.children) {
    if (node.name === "Version" || node.name === "DeleteMarker") items.push(listedVersion(node));
    else if (node.name === "CommonPrefixes") items.push({ prefix: decoded(text(node, "Prefix")) });
  }
  return {
    items,
    truncated: text(root, "IsTruncated") === "true",
    nextKey: decoded(text(root, "NextKeyMarker")),
    nextVersionId: text(root, "NextVersionIdMarker"),
  };
}

/** The versions of one key, the newest first. */
export async function* versionEntries(
  place: Place,
  ctx: Context,
  bucket: string,
  key: string,
): AsyncGenerator<ListedVersion, void, undefined> {
  let markers = { keyMarker: "", versionIdMarker: "" };
  for (let limit = 2; ; limit = 1000) {
    const page = await versionsPage(place, ctx, bucket, { prefix: key, ...markers, limit });
    for (const item of page.items) {
      // A key is before all that it begins.
      if ("prefix" in item || item.key !== key) return;
      yield item;
    }
    if (!page.truncated) return;
    markers = { keyMarker: page.nextKey, versionIdMarker: page.nextVersionId };
  }
}
