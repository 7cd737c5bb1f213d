import type { ListItem, ListPage } from "../../src/engines/object-engine.js";
import { S3Error } from "../../src/errors/s3-error.js";
import type { VersionSummary } from "../../src/model/object.js";
import { commonPrefixXml, objectFields } from "../listing/entries.js";
import { xmlAnswer } from "../listing/page.js";
import {
  checkOptionalAttributes,
  type KeyEncoding,
  keyEncoding,
  listConditions,
  pageLimit,
} from "../listing/parameters.js";
import { peopleXml } from "../listing/people.js";
import type { Operation } from "../types.js";
import { escapeXml, leaf, timeLeaf, xmlDocument } from "../xml/write.js";

const EMPTY: ListPage<VersionSummary> = { items: [], truncated: false };

/** API reference, ListObjectVersions: versions and delete markers in one order, newest first within a key. */
export const listObjectVersions: Operation = {
  name: "ListObjectVersions",
  scope: "bucket",
  async run(ctx) {
    const { bucket } = ctx;
    const { query, headers } = ctx.request;
    await ctx.allow({ action: "s3:ListBucketVersions", bucket, conditions: listConditions(query) });
    const limit = pageLimit(query, "max-keys");
    const encoding = keyEncoding(query);
    checkOptionalAttributes(headers);
    const prefix = query.get("prefix") ?? "";
    const delimiter = query.get("delimiter") ?? "";
    const keyMarker = query.get("key-marker") ?? "";
    const versionIdMarker = query.get("version-id-marker") ?? "";
    if (versionIdMarker !== "" && keyMarker === "") throw markerAlone(versionIdMarker);

    const request = { bucket: bucket.name, prefix, delimiter, limit, keyMarker, versionIdMarker };
    const page = limit === 0 ? EMPTY : await ctx.engine.listVersions(ctx, request);

    const people = peopleXml(ctx);
    return xmlAnswer(
      xmlDocument(
        "ListVersionsResult",
        leaf("Name", bucket.name),
        `<Prefix>${encoding.text(prefix)}</Prefix>`,
        `<KeyMarker>${encoding.text(keyMarker)}</KeyMarker>`,
        leaf("VersionIdMarker", versionIdMarker),
        page.truncated ? nextMarkers(page.items.at(-1), encoding) : "",
        leaf("MaxKeys", limit),
        delimiter === "" ? "" : `<Delimiter>${encoding.text(delimiter)}</Delimiter>`,
        encoding.element,
        leaf("IsTruncated", page.truncated),
        versionsXml(page.items, encoding, (id) => people("Owner", id)),
      ),
    );
  },
};

function markerAlone(versionIdMarker: string): S3Error {
  return new S3Error("InvalidArgument", "A version-id marker cannot be specified without a key marker.", {
    fields: { ArgumentName: "version-id-marker", ArgumentValue: versionIdMarker },
  });
}

function nextMarkers(last: ListItem<VersionSummary> | undefined, encoding: KeyEncoding): string {
  if (!last) return "";
  if ("prefix" in last) return `<NextKeyMarker>${encoding.text(last.prefix)}</NextKeyMarker>`;
  const { key, versionId } = last.entry;
  return `<NextKeyMarker>${encoding.text(key)}</NextKeyMarker>${leaf("NextVersionIdMarker", versionId)}`;
}

function versionsXml(
  items: readonly ListItem<VersionSummary>[],
  encoding: KeyEncoding,
  owner: (id: string) => string,
): string {
  let versions = "";
  let prefixes = "";
  for (const item of items) {
    if ("prefix" in item) prefixes += commonPrefixXml(item.prefix, encoding);
    else {
      const { entry } = item;
      const head = `<Key>${encoding.text(entry.key)}</Key><VersionId>${escapeXml(entry.versionId)}</VersionId><IsLatest>${entry.isLatest}</IsLatest>`;
      const whose = owner(entry.ownerId);
      versions += entry.deleteMarker
        ? `<DeleteMarker>${head}${timeLeaf("LastModified", entry.lastModifiedMs)}${whose}</DeleteMarker>`
        : `<Version>${head}${objectFields(entry)}${whose}<StorageClass>${entry.storageClass}</StorageClass></Version>`;
    }
  }
  return versions + prefixes;
}
