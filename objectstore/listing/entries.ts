import type { ListItem } from "../../src/engines/object-engine.js";
import type { VersionSummary } from "../../src/model/object.js";
import { etagLeaf, timeLeaf } from "../xml/write.js";
import type { KeyEncoding } from "./parameters.js";

/** `<ETag>` to `<Size>` of an object in a page; the order is the one that S3 answers with. */
export function objectFields(entry: VersionSummary): string {
  const { checksum } = entry;
  const checksums = checksum
    ? `<ChecksumAlgorithm>${checksum.algorithm}</ChecksumAlgorithm><ChecksumType>${checksum.type}</ChecksumType>`
    : "";
  return `${timeLeaf("LastModified", entry.lastModifiedMs)}${etagLeaf(entry.etag)}${checksums}<Size>${entry.sizeBytes}</Size>`;
}

/** `<Contents>` of a page, then its `<CommonPrefixes>`. `owner`: the `<Owner>` of an id, or nothing. */
export function contentsXml(
  items: readonly ListItem<VersionSummary>[],
  encoding: KeyEncoding,
  owner: ((id: string) => string) | undefined,
): string {
  let contents = "";
  let prefixes = "";
  for (const item of items) {
    if ("prefix" in item) prefixes += commonPrefixXml(item.prefix, encoding);
    else {
      const { entry } = item;
      const whose = owner ? owner(entry.ownerId) : "";
      contents += `<Contents><Key>${encoding.text(entry.key)}</Key>${objectFields(entry)}${whose}<StorageClass>${entry.storageClass}</StorageClass></Contents>`;
    }
  }
  return contents + prefixes;
}

export function commonPrefixXml(prefix: string, encoding: KeyEncoding): string {
  return `<CommonPrefixes><Prefix>${encoding.text(prefix)}</Prefix></CommonPrefixes>`;
}

/** The last key or common prefix of a page: where the next one starts. */
export function lastOf(items: readonly ListItem<{ key: string }>[]): string {
  const last = items.at(-1);
  if (!last) return "";
  return "prefix" in last ? last.prefix : last.entry.key;
}
