import type { BodySource } from "../../src/engines/object-engine.js";
import type { ChecksumAlgorithm } from "../../src/model/object.js";
import type { BodyDigest } from "../types.js";
import type { DeclaredDigests } from "./declared.js";
import { bodyDigest, checkDigests, runningDigests } from "./digests.js";
import { incompleteBody } from "./message-reader.js";

export interface Stream {
  readonly pieces: AsyncIterable<Buffer>;
  readonly lengthBytes: number | undefined;
  readonly declared: DeclaredDigests;
  /** What the engine keeps of a checksum. */
  readonly algorithm: ChecksumAlgorithm;
  /** The declared checksum; of one in a trailer known only behind the last piece. */
  checksum(): string | undefined;
}

/** A body for an engine that is digested as it passes by. @throws S3Error from the iteration or from finish() */
export function streamSource(stream: Stream): BodySource {
  const { declared, algorithm } = stream;
  const wanted = { md5: true, sha256: declared.sha256 !== undefined, checksum: algorithm };
  const running = runningDigests(wanted, stream.lengthBytes);
  let complete = false;
  async function* bytes(): AsyncGenerator<Buffer, void, undefined> {
    try {
      for await (const piece of stream.pieces) {
        const wait = running.update(piece);
        if (wait) await wait;
        yield piece;
      }
      complete = true;
    } finally {
      if (!complete) running.abandon();
    }
  }
  return {
    bytes: bytes(),
    lengthBytes: stream.lengthBytes,
    async finish(): Promise<BodyDigest> {
      if (!complete) throw incompleteBody();
      const found = await running.finish();
      checkDigests(declared, stream.checksum(), found);
      return bodyDigest(found, algorithm);
    },
  };
}
