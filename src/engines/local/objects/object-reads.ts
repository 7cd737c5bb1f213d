import type { ObjectVersion } from "../../../model/object.js";
import type { OpenObject, VersionRef } from "../../object-engine.js";
import type { Access } from "./access.js";
import { xxh64 } from "./checks.js";
import { readInline } from "./inline-bodies.js";
import type { Content, Segment } from "./manifests.js";
import { EmptyObject, InlineObject, SegmentedObject, verify } from "./open-object.js";
import { type FoundVersion, type MetadataReader, versionOf } from "./reader.js";
import { BODY_EMPTY, BODY_FILE, BODY_INLINE, BODY_MANIFEST, type BodyRef, bodyOf, UNDECIDED } from "./records.js";

export function head({ reader }: Access, { bucket, key, versionId }: VersionRef): ObjectVersion {
  return versionOf(find(reader, bucket, key, versionId), key);
}

function find(reader: MetadataReader, bucket: string, key: string, versionId: string | undefined): FoundVersion {
  reader.refresh();
  return reader.version(reader.existingBucket(bucket), key, versionId);
}

/** Finds the version and holds its bytes, in one turn of the event loop: what is collected after it is not among them. */
export function open(access: Access, { bucket, key, versionId }: VersionRef): OpenObject {
  const { reader, bodies, pins, onDamaged } = access;
  const found = find(reader, bucket, key, versionId);
  const version = versionOf(found, key);
  const body = bodyOf(found.record);
  if (body.kind === BODY_EMPTY) return new EmptyObject(version);
  if (body.kind === BODY_INLINE)
    return new InlineObject(version, readInline(reader.tables, body.id, version.sizeBytes), body.check, onDamaged);
  const { segments, parts } = contentOf(reader, body, version.sizeBytes);
  const inline = new Map<number, Buffer>();
  for (const { kind, id, lengthBytes } of segments)
    if (kind === BODY_INLINE) inline.set(id, readInline(reader.tables, id, lengthBytes));
  // A copy that is no multipart object any more has its parts' segments, and no parts.
  const content = { segments, parts: version.partsCount > 0 ? parts : [], inline };
  return new SegmentedObject(version, content, { bodies, pins, onDamaged });
}

/** Where the bytes lie, in order; and the parts of a body that was uploaded in parts. */
export function contentOf(reader: MetadataReader, body: BodyRef, sizeBytes: number): Content {
  if (body.kind === BODY_INLINE) return { segments: [{ ...body, lengthBytes: sizeBytes }], parts: [] };
  if (body.kind === BODY_FILE) return { segments: [{ ...body, offsetBytes: 0, lengthBytes: sizeBytes }], parts: [] };
  return body.kind === BODY_MANIFEST ? reader.manifest(body.id) : { segments: [], parts: [] };
}

/**
 * A range of a body as segments of another: of files the same bytes, of inline bodies copies.
 *
 * @throws damaged where inline bytes are: a copy would get a check that says that they are well
 */
export function slice(
  reader: MetadataReader,
  body: BodyRef,
  sizeBytes: number,
  offsetBytes: number,
  lengthBytes: number,
) {
  const end = offsetBytes + lengthBytes;
  const segments: Segment[] = [];
  const inline: Buffer[] = [];
  let at = 0;
  for (const segment of contentOf(reader, body, sizeBytes).segments) {
    const from = Math.max(offsetBytes, at) - at;
    const length = Math.min(end, at + segment.lengthBytes) - at - from;
    at += segment.lengthBytes;
    if (length <= 0) continue;
    if (segment.kind === BODY_INLINE) {
      const whole = readInline(reader.tables, segment.id, segment.lengthBytes);
      verify(whole, segment.check, segment.lengthBytes);
      const bytes = whole.subarray(from, from + length);
      inline.push(bytes);
      segments.push({ kind: BODY_INLINE, id: UNDECIDED, check: xxh64(bytes), lengthBytes: length });
    } else segments.push({ ...segment, offsetBytes: segment.offsetBytes + from, lengthBytes: length });
  }
  return { segments, inline };
}
