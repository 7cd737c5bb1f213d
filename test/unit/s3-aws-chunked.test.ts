import { createHmac } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { authenticate } from "../../objectstore/auth/authenticate.js";
import { HmacKey } from "../../objectstore/auth/hmac.js";
import { AwsChunkedDecoder } from "../../objectstore/body/aws-chunked.js";
import type { DeclaredDigests } from "../../objectstore/body/declared.js";
import type { Payload } from "../../objectstore/types.js";
import { S3Error } from "../../src/errors/s3-error.js";
import { checksumOf } from "../../src/runtime/checksum/checksum.js";
import { BodyServer, store, type Upload } from "./s3-body-server.js";
import { AWS_KEY, authorityOf, chunkKey, type Headers, requestOf, sha256 } from "./s3-requests.js";

type Chunked = Extract<Payload, { kind: "chunked-signed" | "chunked-unsigned-trailer" }>;

const SCOPE = "20130524/us-east-1/s3/aws4_request";
const TIMESTAMP = "20130524T000000Z";

const signedWith = (seedSignature: string, trailer: boolean): Chunked => ({
  ...{ kind: "chunked-signed", trailer, seedSignature, signingKey: new HmacKey(chunkKey()) },
  ...{ timestamp: TIMESTAMP, scope: SCOPE },
});
const UNSIGNED: Chunked = { kind: "chunked-unsigned-trailer" };
const CRC32C: DeclaredDigests["checksum"] = { algorithm: "CRC32C", value: undefined, trailer: "x-amz-checksum-crc32c" };

/** Chunks as their description has them, signed one by one. */
function encode(
  payload: Chunked,
  chunks: readonly Buffer[],
  { trailers = [], wrong = -1 }: { trailers?: readonly string[]; wrong?: number } = {},
): Buffer {
  let previous = payload.kind === "chunked-signed" ? payload.seedSignature : "";
  const sign = (kind: string, rest: string): string => {
    const text = `${kind}\n${TIMESTAMP}\n${SCOPE}\n${previous}\n${rest}`;
    previous = createHmac("sha256", chunkKey()).update(text).digest("hex");
    return previous;
  };
  const signed = payload.kind === "chunked-signed";
  const pieces: Buffer[] = [];
  for (const [i, chunk] of [...chunks, Buffer.alloc(0)].entries()) {
    const right = signed ? sign("AWS4-HMAC-SHA256-PAYLOAD", `${sha256("")}\n${sha256(chunk)}`) : "";
    const signature = i === wrong ? right.replace(/^./, (digit) => (digit === "0" ? "1" : "0")) : right;
    pieces.push(Buffer.from(`${chunk.length.toString(16)}${signed ? `;chunk-signature=${signature}` : ""}\r\n`));
    if (chunk.length > 0) pieces.push(chunk, Buffer.from("\r\n"));
  }
  for (const line of trailers) pieces.push(Buffer.from(`${line}\r\n`));
  if (payload.kind === "chunked-signed" && payload.trailer) {
    const signature = sign("AWS4-HMAC-SHA256-TRAILER", sha256(trailers.map((line) => `${line}\n`).join("")));
    pieces.push(Buffer.from(`x-amz-trailer-signature:${wrong === -2 ? sha256("") : signature}\r\n`));
  }
  return Buffer.concat([...pieces, Buffer.from("\r\n")]);
}

type Decoded = { sha256: string; length: number; trailer: string | undefined } | { code: string };

function decode(
  payload: Chunked,
  length: number,
  pieces: readonly Buffer[],
  checksum?: DeclaredDigests["checksum"],
): Decoded {
  const decoder = new AwsChunkedDecoder(payload, length, checksum);
  try {
    const bytes = Buffer.concat(pieces.flatMap((piece) => decoder.decode(piece)));
    decoder.end();
    return { sha256: sha256(bytes), length: bytes.length, trailer: decoder.trailerValue };
  } catch (error) {
    if (error instanceof S3Error) return { code: error.code };
    throw error;
  }
}

const as = (count: number): Buffer => Buffer.alloc(count, "a");
const whole = (bytes: Buffer, trailer?: string): Decoded => ({ sha256: sha256(bytes), length: bytes.length, trailer });

describe("aws-chunked: the examples of the S3 API reference", () => {
  const HEADERS: Headers = [
    ["Host", "s3.amazonaws.com"],
    ["x-amz-date", TIMESTAMP],
    ["x-amz-storage-class", "REDUCED_REDUNDANCY"],
  ];

  it("chunked upload: the seed signature, and each chunk's", () => {
    const names =
      "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class";
    const seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
    const request = requestOf("PUT", "/examplebucket/chunkObject.txt", [
      ...HEADERS,
      ["Authorization", `AWS4-HMAC-SHA256 Credential=${AWS_KEY}/${SCOPE},SignedHeaders=${names},Signature=${seed}`],
      ["x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"],
      ["Content-Encoding", "aws-chunked"],
      ["x-amz-decoded-content-length", "66560"],
      ["Content-Length", "66824"],
    ]);
    const { payload } = authenticate(request, authorityOf());
    const body = Buffer.concat([
      Buffer.from("10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n"),
      as(65_536),
      Buffer.from("\r\n400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n"),
      as(1024),
      Buffer.from("\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n"),
    ]);
    expect(body.length).toBe(66_824);
    expect(payload).toEqual(signedWith(seed, false));
    expect(decode(payload as Chunked, 66_560, [body])).toEqual(whole(as(66_560)));
  });

  it("chunked upload with a trailing checksum: each chunk's signature and the trailer's", () => {
    const body = Buffer.concat([
      Buffer.from("10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n"),
      as(65_536),
      Buffer.from("\r\n400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n"),
      as(1024),
      Buffer.from("\r\n0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n"),
      Buffer.from("x-amz-checksum-crc32c:sOO8/Q==\r\n"),
      Buffer.from("x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"),
    ]);
    const seed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
    expect(decode(signedWith(seed, true), 66_560, [body], CRC32C)).toEqual(whole(as(66_560), "sOO8/Q=="));
    expect(checksumOf("CRC32C", as(66_560))).toBe("sOO8/Q==");
  });
});

describe("aws-chunked", () => {
  const SEED = sha256("seed");
  const SIGNED = signedWith(SEED, false);
  const SIGNED_TRAILER = signedWith(SEED, true);
  const value = checksumOf("CRC32C", as(20_000));
  const chunks = [as(8192), as(8192), as(3616)];
  const trailers = [`x-amz-checksum-crc32c:${value}`];

  it.each<[string, Chunked, string[], DeclaredDigests["checksum"]]>([
    ["signed", SIGNED, [], undefined],
    ["signed with a trailer", SIGNED_TRAILER, trailers, CRC32C],
    ["unsigned with a trailer", UNSIGNED, trailers, CRC32C],
    ["unsigned without one", UNSIGNED, [], undefined],
  ])("%s, cut anywhere: the same bytes", (_name, payload, lines, checksum) => {
    const body = encode(payload, chunks, { trailers: lines });
    const expected = whole(as(20_000), lines.length > 0 ? value : undefined);
    expect(decode(payload, 20_000, [body], checksum)).toEqual(expected);
    expect(
      decode(
        payload,
        20_000,
        [...body].map((byte) => Buffer.from([byte])),
        checksum,
      ),
    ).toEqual(expected);
    fc.assert(
      fc.property(fc.array(fc.nat(body.length), { maxLength: 20 }), (places) => {
        const cuts = [0, ...places.sort((a, b) => a - b), body.length];
        const pieces = cuts.slice(1).map((end, i) => body.subarray(cuts[i], end));
        expect(decode(payload, 20_000, pieces, checksum)).toEqual(expected);
      }),
      { numRuns: 50 },
    );
  });

  it("an empty body: its last chunk alone, signed", () => {
    expect(decode(SIGNED, 0, [encode(SIGNED, [])])).toEqual(whole(as(0)));
    expect(decode(SIGNED, 0, [encode(SIGNED, [], { wrong: 0 })])).toEqual({ code: "SignatureDoesNotMatch" });
  });

  it.each([0, 1, 2, 3])(
    "chunk %d of 4 (the last is the empty one) with another signature: SignatureDoesNotMatch",
    (wrong) => {
      expect(decode(SIGNED, 20_000, [encode(SIGNED, chunks, { wrong })])).toEqual({ code: "SignatureDoesNotMatch" });
    },
  );

  it("the trailer with another signature, or with none: refused", () => {
    const wrong = encode(SIGNED_TRAILER, chunks, { trailers, wrong: -2 });
    expect(decode(SIGNED_TRAILER, 20_000, [wrong], CRC32C)).toEqual({ code: "SignatureDoesNotMatch" });
    const right = encode(SIGNED_TRAILER, chunks, { trailers }).toString("latin1");
    const none = Buffer.from(right.replace(/x-amz-trailer-signature:.*\r\n/, ""), "latin1");
    expect(decode(SIGNED_TRAILER, 20_000, [none], CRC32C)).toEqual({ code: "IncompleteBody" });
  });

  it("chunks swapped, one sent twice, one of another request: SignatureDoesNotMatch", () => {
    const parts = [Buffer.alloc(9000, "x"), Buffer.alloc(9000, "y")];
    const swap = (body: Buffer): Buffer => {
      const size = "2328;chunk-signature=".length + 64 + 2 + 9000 + 2;
      return Buffer.concat([body.subarray(size, 2 * size), body.subarray(0, size), body.subarray(2 * size)]);
    };
    const body = encode(SIGNED, parts);
    expect(decode(SIGNED, 18_000, [swap(body)])).toEqual({ code: "SignatureDoesNotMatch" });
    expect(decode(signedWith(sha256("other"), false), 18_000, [body])).toEqual({ code: "SignatureDoesNotMatch" });
  });

  it("more or fewer bytes than x-amz-decoded-content-length: IncompleteBody", () => {
    for (const payload of [SIGNED, UNSIGNED])
      for (const length of [19_999, 20_001]) {
        expect(decode(payload, length, [encode(payload, chunks)])).toEqual({ code: "IncompleteBody" });
      }
  });

  it("cut short anywhere: IncompleteBody", () => {
    const body = encode(UNSIGNED, [as(100)], { trailers });
    for (let end = 0; end < body.length; end++) {
      expect(decode(UNSIGNED, 100, [body.subarray(0, end)], CRC32C)).toEqual({ code: "IncompleteBody" });
    }
    expect(decode(UNSIGNED, 100, [body], CRC32C)).toHaveProperty("length", 100);
  });

  it("bytes after the end: IncompleteBody", () => {
    const body = Buffer.concat([encode(UNSIGNED, [as(5)]), Buffer.from("0")]);
    expect(decode(UNSIGNED, 5, [body])).toEqual({ code: "IncompleteBody" });
  });

  it("a chunk under 8 KiB that is not the last: InvalidChunkSizeError", () => {
    for (const payload of [SIGNED, UNSIGNED]) {
      expect(decode(payload, 8192, [encode(payload, [as(8191), as(1)])])).toEqual({ code: "InvalidChunkSizeError" });
      expect(decode(payload, 8193, [encode(payload, [as(8192), as(1)])])).toHaveProperty("length", 8193);
    }
  });

  it.each([
    ["5\r\nhello\r\n0\r\n\r\n", 5, undefined],
    ["5\nhello\r\n0\r\n\r\n", 5, "IncompleteBody"],
    ["5\r\nhello0\r\n\r\n", 5, "IncompleteBody"],
    ["5\r\nhelloXX0\r\n\r\n", 5, "IncompleteBody"],
    ["-5\r\nhello\r\n0\r\n\r\n", 5, "IncompleteBody"],
    ["0x5\r\nhello\r\n0\r\n\r\n", 5, "IncompleteBody"],
    [" 5\r\nhello\r\n0\r\n\r\n", 5, "IncompleteBody"],
    ["5;a=b\r\nhello\r\n0\r\n\r\n", 5, "IncompleteBody"],
    ["\r\nhello\r\n0\r\n\r\n", 5, "IncompleteBody"],
    ["FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n", 5, "IncompleteBody"],
    ["00000000000000005\r\nhello\r\n0\r\n\r\n", 5, "IncompleteBody"],
    ["5\r\nhello\r\n0\r\n\rX", 5, "IncompleteBody"],
  ])("%j: %s bytes, %s", (text, length, code) => {
    expect(decode(UNSIGNED, length, [Buffer.from(text)])).toEqual(code ? { code } : whole(Buffer.from("hello")));
  });

  it("unbounded headers and chunk sizes: a line without an end is refused early, whatever it is cut into", () => {
    const endless = Buffer.alloc(1000, "0");
    expect(decode(UNSIGNED, 5, [endless])).toEqual({ code: "IncompleteBody" });
    const decoder = new AwsChunkedDecoder(UNSIGNED, 5, undefined);
    let taken = 0;
    expect(() => {
      for (;;) {
        decoder.decode(Buffer.from("0"));
        taken++;
      }
    }).toThrow(S3Error);
    expect(taken).toBeLessThan(200);
    const long = [`x-amz-checksum-crc32c:${value}${" ".repeat(2000)}`];
    expect(decode(UNSIGNED, 5, [encode(UNSIGNED, [as(5)], { trailers: long })], CRC32C)).toEqual({
      code: "MalformedTrailerError",
    });
  });

  it.each<[string[], DeclaredDigests["checksum"], string | undefined]>([
    [[`X-AMZ-Checksum-CRC32C:  ${value} `], CRC32C, undefined],
    [[], CRC32C, "MalformedTrailerError"],
    [[`x-amz-checksum-crc32:${value}`], CRC32C, "MalformedTrailerError"],
    [[`x-amz-checksum-crc32c:${value}`], undefined, "MalformedTrailerError"],
    [[`x-amz-checksum-crc32c:${value}`, `x-amz-checksum-crc32c:${value}`], CRC32C, "MalformedTrailerError"],
    [[`x-amz-checksum-crc32c:${value}`, "x-amz-meta-a:b"], CRC32C, "MalformedTrailerError"],
    [[`x-amz-checksum-crc32c${value}`], CRC32C, "MalformedTrailerError"],
    [[`:${value}`], CRC32C, "MalformedTrailerError"],
    [["x-amz-checksum-crc32c:AAAA"], CRC32C, "InvalidRequest"],
    [["x-amz-checksum-crc32c:"], CRC32C, "InvalidRequest"],
  ])("trailers %j: %s", (lines, checksum, code) => {
    const decoded = decode(UNSIGNED, 5, [encode(UNSIGNED, [as(5)], { trailers: lines })], checksum);
    expect(decoded).toEqual(code ? { code } : whole(as(5), value));
  });

  it("any garbage, in any pieces: bytes or an S3Error, and the same however it was cut", () => {
    const piece = fc.oneof(
      fc.constantFrom(
        "\r\n",
        "\n",
        "0",
        "5",
        ";chunk-signature=",
        "a".repeat(64),
        "hello",
        "x-amz-checksum-crc32c:",
        value,
        "x-amz-trailer-signature:",
      ),
      fc.uint8Array({ maxLength: 10 }),
    );
    const bytes = fc
      .array(piece, { maxLength: 20 })
      .map((parts) => Buffer.concat(parts.map((part) => Buffer.from(part as string))));
    fc.assert(
      fc.property(
        bytes,
        fc.constantFrom(SIGNED, SIGNED_TRAILER, UNSIGNED),
        fc.constantFrom(CRC32C, undefined),
        (body, payload, checksum) => {
          const decoded = decode(payload, 5, [body], checksum);
          expect(
            decode(
              payload,
              5,
              [...body].map((byte) => Buffer.from([byte])),
              checksum,
            ),
          ).toEqual(decoded);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe("aws-chunked requests", () => {
  let server: BodyServer;
  beforeAll(async () => {
    server = await BodyServer.start();
  });
  afterAll(() => server.stop());

  const SEED = sha256("seed");
  const stored = (upload: Upload) => server.send(upload, (body) => store(body));
  const large = [as(65_536), as(65_536), as(100)];
  const headersOf = (chunks: readonly Buffer[], more: Record<string, string> = {}): Record<string, string> => ({
    ...{ "x-amz-decoded-content-length": String(Buffer.concat(chunks).length) },
    ...more,
  });

  it.each([
    ["small", [as(5000)]],
    ["large", large],
  ])("a %s one of every kind: decoded, its trailing checksum verified", async (_size, chunks) => {
    const bytes = Buffer.concat(chunks);
    const right = checksumOf("SHA256", bytes);
    const headers = headersOf(chunks, {
      "x-amz-trailer": "X-Amz-Checksum-SHA256",
      "x-amz-sdk-checksum-algorithm": "SHA256",
    });
    for (const payload of [UNSIGNED, signedWith(SEED, true)]) {
      const body = encode(payload, chunks, { trailers: [`x-amz-checksum-sha256:${right}`] });
      const outcome = await stored({ payload, headers, body: [body] });
      const checksum = { algorithm: "SHA256", type: "FULL_OBJECT", value: right };
      expect(outcome).toMatchObject({
        value: { sha256: sha256(bytes), lengthBytes: bytes.length, digest: { checksum } },
      });
      const wrong = encode(payload, chunks, { trailers: [`x-amz-checksum-sha256:${checksumOf("SHA256", as(1))}`] });
      expect(await stored({ payload, headers, body: [wrong] })).toMatchObject({
        ...{ code: "BadDigest", message: "The SHA256 you specified did not match the calculated checksum." },
      });
    }
    const plain = encode(signedWith(SEED, false), chunks);
    const outcome = await stored({
      payload: signedWith(SEED, false),
      headers: headersOf(chunks),
      body: [plain],
      apart: true,
    });
    expect(outcome).toMatchObject({ value: { sha256: sha256(bytes) } });
  });

  it("aws-chunked within HTTP's own chunks: decoded", async () => {
    const body = encode(UNSIGNED, [as(5)]);
    const framed = [`${body.length.toString(16)}\r\n`, body, "\r\n0\r\n\r\n"];
    const headers = headersOf([as(5)], { "transfer-encoding": "chunked" });
    expect(await stored({ payload: UNSIGNED, headers, contentLength: null, body: framed })).toMatchObject({
      value: { sha256: sha256(as(5)), lengthBytes: 5 },
    });
  });

  it("no x-amz-decoded-content-length: MissingContentLength; one that is no count: InvalidArgument", async () => {
    const body = [encode(UNSIGNED, [as(5)])];
    expect(await stored({ payload: UNSIGNED, body })).toMatchObject({ code: "MissingContentLength" });
    for (const length of ["-5", "5.0", "0x5", "5 5", ""]) {
      const headers = { "x-amz-decoded-content-length": length };
      expect(await stored({ payload: UNSIGNED, body, headers })).toMatchObject({ code: "InvalidArgument" });
    }
  });

  it("cut short, small and large: IncompleteBody", async () => {
    for (const chunks of [[as(100)], large]) {
      const body = encode(UNSIGNED, chunks);
      const upload = { payload: UNSIGNED, headers: headersOf(chunks), body: [body.subarray(0, -2)] };
      expect(await stored(upload)).toMatchObject({ code: "IncompleteBody" });
      expect(await stored({ ...upload, contentLength: body.length, hangUp: true })).toMatchObject({
        code: "IncompleteBody",
      });
    }
  });

  it("a trailing and a leading checksum, two trailers, a trailer that is none: InvalidRequest", async () => {
    for (const more of [
      { "x-amz-trailer": "x-amz-checksum-crc32", "x-amz-checksum-crc32": "AAAAAA==" },
      { "x-amz-trailer": "x-amz-checksum-crc32,x-amz-checksum-sha1" },
      { "x-amz-trailer": "x-amz-meta-a" },
    ]) {
      const upload = { payload: UNSIGNED, headers: headersOf([as(5)], more), body: [encode(UNSIGNED, [as(5)])] };
      expect(await stored(upload)).toMatchObject({ code: "InvalidRequest" });
    }
  });
});
