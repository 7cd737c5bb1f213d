import { describe, expect, it } from "vitest";
import { useWorld } from "./s3-world.js";

const world = useWorld();

describe("rule 17: ranges", () => {
  it.each([
    ["bytes=0-4", "01234", "bytes 0-4/10"],
    ["bytes=3-", "3456789", "bytes 3-9/10"],
    ["bytes=-3", "789", "bytes 7-9/10"],
    ["bytes=-100", "0123456789", "bytes 0-9/10"],
    ["bytes=5-100", "56789", "bytes 5-9/10"],
    ["bytes=9-9", "9", "bytes 9-9/10"],
  ])("%s: 206 with %s", async (range, expected, contentRange) => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "0123456789");
    const got = await world.get(bucket, "k", { range });
    expect([got.status, got.text]).toEqual([206, expected]);
    expect(got.headers["content-range"]).toBe(contentRange);
    expect(got.headers["content-length"]).toBe(String(expected.length));
    const head = await world.send(bucket, "k", { method: "HEAD", headers: { range } });
    expect([head.status, head.headers["content-range"]]).toEqual([206, contentRange]);
    expect(head.headers["content-length"]).toBe(String(expected.length));
  });

  it.each(["bytes=10-", "bytes=10-20", "bytes=-0"])("%s of ten bytes: 416 with the object's size", async (range) => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "0123456789");
    const got = await world.get(bucket, "k", { range });
    expect([got.status, got.code]).toEqual([416, "InvalidRange"]);
    expect(got.headers["content-range"]).toBe("bytes */10");
    expect(got.text).toContain("<ActualObjectSize>10</ActualObjectSize>");
    expect(got.text).toContain(`<RangeRequested>${range}</RangeRequested>`);
  });

  it.each(["bytes=5-3", "bytes=0-1,3-4", "bytes=a-b", "lines=0-1", "bytes=-", "0-1"])(
    "%s: ignored, 200 with all of it",
    async (range) => {
      const bucket = await world.bucket();
      await world.put(bucket, "k", "0123456789");
      const got = await world.get(bucket, "k", { range });
      expect([got.status, got.text, got.headers["content-range"]]).toEqual([200, "0123456789", undefined]);
    },
  );

  it("an object of no bytes: any range is past its end", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "");
    for (const range of ["bytes=0-", "bytes=0-0", "bytes=-5"]) {
      const got = await world.get(bucket, "k", { range });
      expect([got.status, got.headers["content-range"]]).toEqual([416, "bytes */0"]);
    }
    expect((await world.get(bucket, "k")).text).toBe("");
  });

  it("a large object: any slice of it", async () => {
    const bucket = await world.bucket();
    const body = Buffer.alloc(5_000_000);
    for (let at = 0; at < body.length; at += 4) body.writeUInt32LE(at, at);
    await world.put(bucket, "k", body);
    for (const [from, to] of [
      [0, 0],
      [65_535, 65_536],
      [1_000_000, 3_999_999],
      [4_999_999, 4_999_999],
    ] as const) {
      const got = await world.get(bucket, "k", { range: `bytes=${from}-${to}` });
      expect(got.bytes.equals(body.subarray(from, to + 1))).toBe(true);
    }
  });

  it("If-Range of another ETag: all of the object, as its rest would be of another one", async () => {
    const bucket = await world.bucket();
    const etag = (await world.put(bucket, "k", "0123456789")).headers.etag ?? "";
    expect((await world.get(bucket, "k", { range: "bytes=1-2", "if-range": etag })).text).toBe("12");
    expect((await world.get(bucket, "k", { range: "bytes=1-2", "if-range": '"x"' })).text).toBe("0123456789");
  });
});

describe("rule 17: partNumber", () => {
  const MIB = 1024 ** 2;

  async function multipart(bucket: string): Promise<Buffer[]> {
    const parts = [Buffer.alloc(5 * MIB, 1), Buffer.alloc(6 * MIB, 2), Buffer.alloc(10, 3)];
    const begun = await world.send(bucket, "k", { method: "POST", query: "uploads" });
    const uploadId = /<UploadId>([^<]*)/.exec(begun.text)?.[1] ?? "";
    let body = "";
    for (const [index, part] of parts.entries()) {
      const query = `partNumber=${index + 1}&uploadId=${uploadId}`;
      const { headers } = await world.send(bucket, "k", { method: "PUT", query, body: part });
      body += `<Part><PartNumber>${index + 1}</PartNumber><ETag>${headers.etag}</ETag></Part>`;
    }
    body = `<CompleteMultipartUpload>${body}</CompleteMultipartUpload>`;
    expect((await world.send(bucket, "k", { method: "POST", query: `uploadId=${uploadId}`, body })).status).toBe(200);
    return parts;
  }

  it("of a multipart object: 206, the part's bytes, and how many parts there are", async () => {
    const bucket = await world.bucket();
    const parts = await multipart(bucket);
    let offset = 0;
    for (const [index, part] of parts.entries()) {
      const query = `partNumber=${index + 1}`;
      const got = await world.get(bucket, "k", {}, query);
      expect([got.status, got.bytes.equals(part)]).toEqual([206, true]);
      expect(got.headers["x-amz-mp-parts-count"]).toBe("3");
      const range = `bytes ${offset}-${offset + part.length - 1}/${11 * MIB + 10}`;
      expect(got.headers["content-range"]).toBe(range);
      const head = await world.send(bucket, "k", { method: "HEAD", query });
      expect([head.status, head.headers["content-range"], head.headers["x-amz-mp-parts-count"]]).toEqual([
        206,
        range,
        "3",
      ]);
      offset += part.length;
    }
    const missing = await world.get(bucket, "k", {}, "partNumber=4");
    expect([missing.status, missing.code]).toEqual([416, "InvalidPartNumber"]);
    expect((await world.get(bucket, "k")).headers["x-amz-mp-parts-count"]).toBeUndefined();
  });

  it("of an object that was put whole: part 1 is all of it", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "hello");
    const got = await world.get(bucket, "k", {}, "partNumber=1");
    expect([got.status, got.text, got.headers["x-amz-mp-parts-count"]]).toEqual([206, "hello", undefined]);
    expect((await world.get(bucket, "k", {}, "partNumber=2")).code).toBe("InvalidPartNumber");
  });

  it("with a Range, or no part's number: 400", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "hello");
    expect((await world.get(bucket, "k", { range: "bytes=0-1" }, "partNumber=1")).code).toBe("InvalidRequest");
    for (const number of ["0", "10001", "-1", "a"]) {
      expect((await world.get(bucket, "k", {}, `partNumber=${number}`)).code).toBe("InvalidArgument");
    }
  });
});
