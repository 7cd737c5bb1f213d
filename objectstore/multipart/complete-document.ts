import { CHECKSUM_ALGORITHMS, type ChecksumAlgorithm, MAX_PARTS } from "../../src/model/object.js";
import { CHECKSUM_ELEMENT } from "../checksum-headers.js";
import { bareEtag } from "../http/conditions.js";
import { childrenOf, expectChildren, malformedXml, parseDocument, textOf, type XmlElement } from "../xml/read.js";

/** One `Part` of a `CompleteMultipartUpload` document. */
export interface CompletedPart {
  readonly number: number;
  /** Without quotes. */
  readonly etag: string;
  readonly checksum: { readonly algorithm: ChecksumAlgorithm; readonly value: string } | null;
}

const CHILDREN = ["PartNumber", "ETag", ...CHECKSUM_ALGORITHMS.map((algorithm) => CHECKSUM_ELEMENT[algorithm])];

function partOf(part: XmlElement): CompletedPart {
  expectChildren(part, CHILDREN);
  const number = textOf(part, "PartNumber")?.trim() ?? "";
  const etag = textOf(part, "ETag");
  if (!/^\d{1,9}$/.test(number)) throw malformedXml("a Part needs a PartNumber");
  if (etag === undefined) throw malformedXml("a Part needs an ETag");
  let checksum: CompletedPart["checksum"] = null;
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const value = textOf(part, CHECKSUM_ELEMENT[algorithm]);
    if (value === undefined || value === "") continue;
    if (checksum) throw malformedXml("a Part has one checksum");
    checksum = { algorithm, value };
  }
  return { number: Number(number), etag: bareEtag(etag), checksum };
}

/**
 * A `CompleteMultipartUpload` document: 1 to 10,000 parts in the client's order. ETags may lack their quotes (rule 25).
 *
 * @throws S3Error MalformedXML
 */
export function completedPartsFrom(text: string): readonly CompletedPart[] {
  const root = parseDocument(text, "CompleteMultipartUpload");
  expectChildren(root, [], ["Part"]);
  const parts = childrenOf(root, "Part");
  if (parts.length === 0) throw malformedXml("it names no part");
  if (parts.length > MAX_PARTS) throw malformedXml(`it names more than ${MAX_PARTS} parts`);
  return parts.map(partOf);
}
