import type { ListItem, ListPage } from "../../src/engines/object-engine.js";
import { S3Error } from "../../src/errors/s3-error.js";
import { StorageError } from "../../src/errors/storage-error.js";
import type { Upload } from "../../src/model/object.js";
import { commonPrefixXml } from "../listing/entries.js";
import { xmlAnswer } from "../listing/page.js";
import { type KeyEncoding, keyEncoding, pageLimit } from "../listing/parameters.js";
import { peopleXml } from "../listing/people.js";
import type { Operation } from "../types.js";
import { leaf, timeLeaf, xmlDocument } from "../xml/write.js";

const EMPTY: ListPage<Upload> = { items: [], truncated: false };

/** API reference, ListMultipartUploads. */
export const listMultipartUploads: Operation = {
  name: "ListMultipartUploads",
  scope: "bucket",
  async run(ctx) {
    const { bucket } = ctx;
    const { query } = ctx.request;
    await ctx.allow({ action: "s3:ListBucketMultipartUploads", bucket });
    const limit = pageLimit(query, "max-uploads");
    const encoding = keyEncoding(query);
    const prefix = query.get("prefix") ?? "";
    const delimiter = query.get("delimiter") ?? "";
    const keyMarker = query.get("key-marker") ?? "";
    // "If key-marker is not specified, the upload-id-marker parameter is ignored."
    const uploadIdMarker = keyMarker === "" ? "" : (query.get("upload-id-marker") ?? "");

    const request = { bucket: bucket.name, prefix, delimiter, limit, keyMarker, uploadIdMarker };
    const page = limit === 0 ? EMPTY : await ctx.engine.listUploads(ctx, request).catch(refusedMarker(uploadIdMarker));

    return xmlAnswer(
      xmlDocument(
        "ListMultipartUploadsResult",
        leaf("Bucket", bucket.name),
        `<KeyMarker>${encoding.text(keyMarker)}</KeyMarker>`,
        leaf("UploadIdMarker", uploadIdMarker),
        nextMarkers(page.items.at(-1), page.truncated, encoding),
        prefix === "" ? "" : `<Prefix>${encoding.text(prefix)}</Prefix>`,
        delimiter === "" ? "" : `<Delimiter>${encoding.text(delimiter)}</Delimiter>`,
        encoding.element,
        leaf("MaxUploads", limit),
        leaf("IsTruncated", page.truncated),
        uploadsXml(page.items, encoding, peopleXml(ctx)),
      ),
    );
  },
};

/**
 * Of an upload of another key, and of one that has ended since, the marker is a place among the key's uploads like any
 * other: who aborts what a page lists goes on behind it.
 */
function refusedMarker(uploadIdMarker: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof StorageError) || error.code !== "invalid-argument" || error.reason !== undefined)
      throw error;
    throw new S3Error("InvalidArgument", "Invalid uploadId marker", {
      cause: error,
      fields: { ArgumentName: "upload-id-marker", ArgumentValue: uploadIdMarker },
    });
  };
}

/** There on the last page too, where they are of its last upload, or empty. */
function nextMarkers(last: ListItem<Upload> | undefined, truncated: boolean, encoding: KeyEncoding): string {
  let [key, uploadId] = ["", ""];
  if (last && "entry" in last) [key, uploadId] = [last.entry.key, last.entry.uploadId];
  else if (last && truncated) key = last.prefix;
  return `<NextKeyMarker>${encoding.text(key)}</NextKeyMarker>${leaf("NextUploadIdMarker", uploadId)}`;
}

function uploadsXml(
  items: readonly ListItem<Upload>[],
  encoding: KeyEncoding,
  people: ReturnType<typeof peopleXml>,
): string {
  let uploads = "";
  let prefixes = "";
  for (const item of items) {
    if ("prefix" in item) prefixes += commonPrefixXml(item.prefix, encoding);
    else {
      const { entry } = item;
      const { checksumAlgorithm, attributes } = entry;
      const checksum =
        checksumAlgorithm === null
          ? ""
          : leaf("ChecksumAlgorithm", checksumAlgorithm) + leaf("ChecksumType", entry.checksumType);
      uploads +=
        `<Upload><Key>${encoding.text(entry.key)}</Key>${leaf("UploadId", entry.uploadId)}` +
        people("Initiator", entry.initiatorId) +
        people("Owner", attributes.ownerId) +
        leaf("StorageClass", attributes.storageClass) +
        `${timeLeaf("Initiated", entry.initiatedMs)}${checksum}</Upload>`;
    }
  }
  return uploads + prefixes;
}
