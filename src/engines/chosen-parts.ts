import { invalid, refused } from "../errors/storage-error.js";
import { MAX_PARTS, MIN_PART_BYTES, type ObjectPart } from "../model/object.js";
import type { CompleteUpload } from "./object-engine.js";

/**
 * The parts that a completion names, as they are stored.
 *
 * @param stored the part of a number from 1 to 10,000
 * @throws invalid-part-order, invalid-part, part-too-small (S3's CompleteMultipartUpload, errors)
 */
export function chosenParts<T extends ObjectPart>(
  wanted: CompleteUpload["parts"],
  stored: (number: number) => T | undefined,
): T[] {
  if (wanted.length === 0) throw invalid("an upload is completed with one part at least");
  for (let i = 1; i < wanted.length; i++)
    if ((wanted[i]?.number ?? 0) <= (wanted[i - 1]?.number ?? 0))
      throw refused("invalid-part-order", "the parts must be in ascending order of their numbers");
  const parts = wanted.map(({ number, etag, checksum }) => {
    const valid = Number.isInteger(number) && number >= 1 && number <= MAX_PARTS;
    const part = valid ? stored(number) : undefined;
    if (!part || part.etag !== etag || (checksum !== null && checksum !== part.checksum?.value))
      throw refused("invalid-part", `part ${number} is not there, or has another ETag or checksum`);
    return part;
  });
  for (const { number, sizeBytes } of parts.slice(0, -1))
    if (sizeBytes < MIN_PART_BYTES)
      throw refused("part-too-small", `part ${number} has ${sizeBytes} bytes: all but the last need ${MIN_PART_BYTES}`);
  return parts;
}
