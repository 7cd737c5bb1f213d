/** Bytes [offsetBytes, offsetBytes + lengthBytes) of an object; at least one. */
export interface ByteRange {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** More digits than a double holds exactly: as good as endless. */
const MAX_DIGITS = 15;

function position(digits: string): number {
  return digits.length > MAX_DIGITS ? Number.MAX_SAFE_INTEGER : Number(digits);
}

const RANGE = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i;

/**
 * A Range header against an object of this size (RFC 9110, 14.2; GetObject takes one range). Undefined: the header is to
 * be ignored, because it is malformed, of another unit, or names several ranges. "unsatisfiable": 416.
 */
export function parseRange(header: string, sizeBytes: number): ByteRange | "unsatisfiable" | undefined {
  const match = RANGE.exec(header);
  if (!match) return undefined;
  const [, first = "", last = ""] = match;
  if (first === "") {
    if (last === "") return undefined;
    const lengthBytes = Math.min(position(last), sizeBytes);
    return lengthBytes === 0 ? "unsatisfiable" : { offsetBytes: sizeBytes - lengthBytes, lengthBytes };
  }
  const offsetBytes = position(first);
  if (last !== "" && position(last) < offsetBytes) return undefined;
  if (offsetBytes >= sizeBytes) return "unsatisfiable";
  const end = last === "" ? sizeBytes : Math.min(position(last) + 1, sizeBytes);
  return { offsetBytes, lengthBytes: end - offsetBytes };
}

const COPY_RANGE = /^bytes=(\d{1,15})-(\d{1,15})$/;

/**
 * An x-amz-copy-source-range, which has both ends. Undefined where it is not of that form; it may reach past the
 * object, which is the caller's to refuse.
 */
export function parseCopyRange(header: string): ByteRange | undefined {
  const match = COPY_RANGE.exec(header);
  if (!match) return undefined;
  const first = Number(match[1]);
  const last = Number(match[2]);
  return last < first ? undefined : { offsetBytes: first, lengthBytes: last - first + 1 };
}

/** `bytes 0-9/20`. */
export function contentRange(range: ByteRange, sizeBytes: number): string {
  return `bytes ${range.offsetBytes}-${range.offsetBytes + range.lengthBytes - 1}/${sizeBytes}`;
}
