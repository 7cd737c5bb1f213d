import { S3Error } from "../src/errors/s3-error.js";
import type { ObjectVersion, Pairs } from "../src/model/object.js";
import { checkRedirect, REDIRECT, readMetadata, type WrittenMetadata } from "./attributes.js";
import { headerTags } from "./new-object.js";

type Headers = ReadonlyMap<string, string>;

function directive(headers: Headers, name: string, called: string): "COPY" | "REPLACE" {
  const value = headers.get(name) ?? "COPY";
  if (value === "COPY" || value === "REPLACE") return value;
  throw new S3Error("InvalidArgument", `Unknown ${called} directive.`, {
    fields: { ArgumentName: name, ArgumentValue: value },
  });
}

/** @throws S3Error InvalidArgument */
export function replacesMetadata(headers: Headers): boolean {
  return directive(headers, "x-amz-metadata-directive", "metadata") === "REPLACE";
}

/** @throws S3Error InvalidArgument */
export function replacesTags(headers: Headers): boolean {
  return directive(headers, "x-amz-tagging-directive", "tagging") === "REPLACE";
}

/**
 * The copy's content type, system and user metadata (CopyObject, "x-amz-metadata-directive"). A website redirect is never
 * copied: the copy has the one that its own request gives.
 *
 * @throws S3Error as readMetadata does
 */
export function copiedMetadata(headers: Headers, source: ObjectVersion): WrittenMetadata {
  if (replacesMetadata(headers)) return readMetadata(headers);
  const { contentType, system, user } = source.attributes;
  const redirect = headers.get(REDIRECT);
  const kept: Pairs = system.filter(([name]) => name !== REDIRECT);
  if (redirect === undefined) return { contentType, system: kept, user };
  checkRedirect(redirect);
  return { contentType, system: [...kept, [REDIRECT, redirect]], user };
}

/** The copy's tags. @throws S3Error as headerTags does */
export function copiedTags(headers: Headers, source: ObjectVersion): Pairs {
  return replacesTags(headers) ? headerTags(headers) : source.attributes.tags;
}

/**
 * A copy onto itself is a change of what stands beside the bytes, or nothing at all: that is refused. To copy an older
 * version onto its key brings that version back, so it is a change.
 *
 * @param checksumChanges the request asks for another checksum than the object has
 * @throws S3Error InvalidRequest
 */
export function refuseCopyOntoItself(headers: Headers, source: ObjectVersion, checksumChanges: boolean): void {
  const changes =
    replacesMetadata(headers) ||
    headers.has("x-amz-storage-class") ||
    headers.has(REDIRECT) ||
    !source.isLatest ||
    checksumChanges;
  if (changes) return;
  throw new S3Error(
    "InvalidRequest",
    "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
  );
}
