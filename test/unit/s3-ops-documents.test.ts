import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { deleteEntriesFrom } from "../../objectstore/delete-document.js";
import { completedPartsFrom } from "../../objectstore/multipart/complete-document.js";
import { uploadChecksum } from "../../objectstore/multipart/upload-checksum.js";
import {
  checkPartSizes,
  checkWhole,
  multipartChecksum,
  multipartEtag,
} from "../../objectstore/multipart/whole-digest.js";
import type { ObjectPart, Upload } from "../../src/model/object.js";
import { checksumOf } from "../../src/runtime/checksum/checksum.js";

const code = (name: string) => expect.objectContaining({ code: name });

/** A jumble of what such documents are made of. */
const jumble = fc
  .array(
    fc.constantFrom(
      ...["<Delete>", "</Delete>", "<Object>", "</Object>", "<Key>", "</Key>", "k", "<Quiet>true</Quiet>", "<ETag/>"],
      ...["<CompleteMultipartUpload>", "</CompleteMultipartUpload>", "<Part>", "</Part>", "<PartNumber>1</PartNumber>"],
      ...["<ETag>x</ETag>", "<PartNumber>-1</PartNumber>", "<ChecksumCRC32>AAAAAA==</ChecksumCRC32>", "&amp;", "<"],
    ),
    { maxLength: 14 },
  )
  .map((pieces) => pieces.join(""));

describe("Delete documents", () => {
  it("keys, versions and conditions, as they are written", () => {
    const text =
      "<Delete><Object><Key> a &amp; b </Key><VersionId>v</VersionId></Object>" +
      "<Object><Key>c</Key><VersionId/><ETag>x</ETag><Size>3</Size></Object><Quiet>TRUE</Quiet></Delete>";
    expect(deleteEntriesFrom(text)).toEqual({
      entries: [
        { key: " a & b ", versionId: "v", etag: undefined, lastModified: undefined, size: undefined },
        { key: "c", versionId: undefined, etag: "x", lastModified: undefined, size: "3" },
      ],
      quiet: true,
    });
  });

  it("any text: entries with a key each, or MalformedXML", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), jumble), (text) => {
        try {
          for (const { key } of deleteEntriesFrom(text).entries) expect(key).not.toBe("");
        } catch (error) {
          expect(error).toMatchObject({ code: "MalformedXML" });
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("CompleteMultipartUpload documents", () => {
  it("any text: 1 to 10,000 parts with a number each, or MalformedXML", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), jumble), (text) => {
        try {
          for (const { number } of completedPartsFrom(text)) expect(Number.isInteger(number)).toBe(true);
        } catch (error) {
          expect(error).toMatchObject({ code: "MalformedXML" });
        }
      }),
      { numRuns: 500 },
    );
  });

  it("unbounded parts: 10,001 are MalformedXML", () => {
    const parts = (count: number) =>
      `<CompleteMultipartUpload>${"<Part><PartNumber>1</PartNumber><ETag>x</ETag></Part>".repeat(count)}</CompleteMultipartUpload>`;
    expect(completedPartsFrom(parts(10_000))).toHaveLength(10_000);
    expect(() => completedPartsFrom(parts(10_001))).toThrow(code("MalformedXML"));
  });
});

describe("a whole from its parts", () => {
  const part = (number: number, bytes: Buffer, algorithm: "CRC32" | "CRC64NVME"): ObjectPart => ({
    number,
    sizeBytes: bytes.length,
    etag: "d41d8cd98f00b204e9800998ecf8427e",
    lastModifiedMs: 0,
    checksum: { algorithm, type: "FULL_OBJECT", value: checksumOf(algorithm, bytes) },
  });
  const upload = (change: Partial<Upload>): Upload =>
    ({ checksumAlgorithm: "CRC32", checksumType: "FULL_OBJECT", ...change }) as Upload;

  it("FULL_OBJECT: of any cut of any bytes the checksum of the bytes", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 50 }), { minLength: 1, maxLength: 6 }), (pieces) => {
        const parts = pieces.map((bytes, i) => part(i + 1, Buffer.from(bytes), "CRC32"));
        const whole = Buffer.concat(pieces);
        expect(multipartChecksum(parts, upload({}))?.value).toBe(checksumOf("CRC32", whole));
      }),
    );
  });

  it("a part without the upload's checksum: the whole has none, never a wrong one", () => {
    const parts = [part(1, Buffer.from("a"), "CRC64NVME")];
    expect(multipartChecksum(parts, upload({}))).toBeNull();
    expect(() => checkWhole(new Map([["x-amz-checksum-crc32", "AAAAAA=="]]), parts, upload({}), null)).toThrow(
      code("InvalidRequest"),
    );
  });

  it("the ETag: MD5 of the parts' MD5s, and how many they are", () => {
    expect(multipartEtag([part(1, Buffer.alloc(0), "CRC32")])).toBe("59adb24ef3cdbe0297f05b395827453f-1");
  });

  it("the last part may be small, and a lone one", () => {
    const small = part(1, Buffer.from("a"), "CRC32");
    expect(() => checkPartSizes([small])).not.toThrow();
    expect(() => checkPartSizes([small, small])).toThrow(code("EntityTooSmall"));
  });

  it("algorithms and types: the documented table", () => {
    const of = (algorithm?: string, type?: string) => {
      const headers = new Map<string, string>();
      if (algorithm) headers.set("x-amz-checksum-algorithm", algorithm);
      if (type) headers.set("x-amz-checksum-type", type);
      return uploadChecksum(headers);
    };
    expect(of()).toEqual({ checksumAlgorithm: null, checksumType: "FULL_OBJECT" });
    expect(of("CRC32").checksumType).toBe("COMPOSITE");
    expect(of("crc32c", "FULL_OBJECT").checksumType).toBe("FULL_OBJECT");
    expect(of("CRC64NVME").checksumType).toBe("FULL_OBJECT");
    expect(of("SHA256").checksumType).toBe("COMPOSITE");
    expect(() => of("SHA1", "FULL_OBJECT")).toThrow(code("InvalidRequest"));
  });
});
