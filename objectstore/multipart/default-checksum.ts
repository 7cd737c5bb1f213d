import type { BodyDigest, BodySource } from "../../src/engines/object-engine.js";
import { checksumOf, newChecksum } from "../../src/runtime/checksum/checksum.js";

const ALGORITHM = "CRC64NVME";

function withChecksum(digest: BodyDigest, value: string): BodyDigest {
  return { md5: digest.md5, checksum: { algorithm: ALGORITHM, type: "FULL_OBJECT", value } };
}

/**
 * A part's body that is kept with CRC64NVME, whatever checksum its client declared and holds it to: where an upload named
 * no algorithm, the whole has that one (user guide, "Checking object integrity").
 */
export function keptWithDefault(body: BodySource): BodySource {
  const { bytes, lengthBytes } = body;
  if (Buffer.isBuffer(bytes)) {
    const finish = async () => withChecksum(await body.finish(), checksumOf(ALGORITHM, bytes));
    return { bytes, lengthBytes, finish };
  }
  const running = newChecksum(ALGORITHM);
  async function* pieces(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
    for await (const piece of source) {
      running.update(piece);
      yield piece;
    }
  }
  const finish = async () => withChecksum(await body.finish(), running.digest());
  return { bytes: pieces(bytes), lengthBytes, finish };
}
