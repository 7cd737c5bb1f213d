import { invalid, StorageError } from "../../errors/storage-error.js";
import type { BodyDigest, BodySource } from "../object-engine.js";
import type { Context } from "../types.js";
import { tooLarge } from "./place.js";

export interface Whole {
  readonly sizeBytes: number;
  readonly digest: BodyDigest;
}

/**
 * A body on its way upstream, whose last piece waits until it is known to be the body that was declared and `before` has
 * settled. What fails until then leaves the upstream with a request that never ends: it stores nothing.
 */
export async function* heldBack(
  ctx: Context,
  source: BodySource,
  limitBytes: number,
  before: (whole: Whole) => Promise<void>,
): AsyncGenerator<Buffer, void, undefined> {
  let held: Buffer | undefined;
  let sizeBytes = 0;
  for await (const chunk of source.bytes as AsyncIterable<Buffer>) {
    if (ctx.signal.aborted) throw new StorageError("cancelled", "the request was cancelled");
    sizeBytes += chunk.length;
    if (sizeBytes > limitBytes) throw tooLarge(sizeBytes, limitBytes);
    if (sizeBytes > (source.lengthBytes ?? limitBytes)) throw wrongLength(sizeBytes, source.lengthBytes);
    if (held) yield held;
    // The source's own memory, until it is asked for more.
    held = Buffer.from(chunk);
  }
  await before(await wholeOf(source, sizeBytes));
  if (held) yield held;
}

/** @throws invalid-argument where it has not the length that was declared, and what finish() throws */
export async function wholeOf(source: BodySource, sizeBytes: number): Promise<Whole> {
  if (source.lengthBytes !== undefined && sizeBytes !== source.lengthBytes)
    throw wrongLength(sizeBytes, source.lengthBytes);
  return { sizeBytes, digest: await source.finish() };
}

const wrongLength = (sizeBytes: number, declared: number | undefined) =>
  invalid(`the body has ${sizeBytes} bytes, not the ${declared} that were declared`);

/** Bodies of one piece as they are; a stream that is declared small, or empty, is gathered. */
export async function gathered(source: BodySource, limitBytes: number): Promise<Buffer | undefined> {
  if (Buffer.isBuffer(source.bytes)) return source.bytes;
  if (source.lengthBytes === undefined || source.lengthBytes > limitBytes) return undefined;
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of source.bytes) {
    chunks.push(Buffer.from(chunk));
    sizeBytes += chunk.length;
    if (sizeBytes > source.lengthBytes) throw wrongLength(sizeBytes, source.lengthBytes);
  }
  return Buffer.concat(chunks, sizeBytes);
}
