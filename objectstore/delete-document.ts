import type { DeleteConditions } from "./preconditions.js";
import { childrenOf, expectChildren, malformedXml, parseDocument, textOf, type XmlElement } from "./xml/read.js";

/** DeleteObjects: "up to 1,000 objects". */
const MAX_OBJECTS = 1000;

/** One `Object` of a `Delete` document. */
export interface DeleteEntry extends DeleteConditions {
  readonly key: string;
  readonly versionId: string | undefined;
}

function entryOf(object: XmlElement): DeleteEntry {
  expectChildren(object, ["Key", "VersionId", "ETag", "LastModifiedTime", "Size"]);
  const key = textOf(object, "Key");
  if (key === undefined || key === "") throw malformedXml("an Object needs a Key");
  const versionId = textOf(object, "VersionId");
  return {
    key,
    versionId: versionId === "" ? undefined : versionId,
    etag: textOf(object, "ETag"),
    lastModified: textOf(object, "LastModifiedTime"),
    size: textOf(object, "Size"),
  };
}

/**
 * A `Delete` document: 1 to 1,000 objects.
 *
 * @throws S3Error MalformedXML
 */
export function deleteEntriesFrom(text: string): { entries: readonly DeleteEntry[]; quiet: boolean } {
  const root = parseDocument(text, "Delete");
  expectChildren(root, ["Quiet"], ["Object"]);
  const objects = childrenOf(root, "Object");
  if (objects.length === 0 || objects.length > MAX_OBJECTS) {
    throw malformedXml(`it names 1 to ${MAX_OBJECTS} objects, not ${objects.length}`);
  }
  return { entries: objects.map(entryOf), quiet: textOf(root, "Quiet")?.trim().toLowerCase() === "true" };
}
