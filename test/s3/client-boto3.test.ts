import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { clientProgram } from "./clients.mjs";
import { PROTOCOLS, type S3Server, startS3 } from "./harness.js";
import { makeLargeFile, makeOddTree, treeOf } from "./odd-tree.js";
import { awsEnvironment, client, scratch } from "./run-client.js";

const SCRIPT = fileURLToPath(new URL("./boto3_daily.py", import.meta.url));

describe.each(PROTOCOLS)("boto3 over $protocol", ({ https }) => {
  let server: S3Server;
  beforeAll(async () => {
    server = await startS3({ https });
  });
  afterAll(() => server?.remove());

  const step = async (name: string, folder = server.dir): Promise<unknown> => {
    const env = { ...awsEnvironment(server), S3_ENDPOINT: server.endpoint, PYTHONDONTWRITEBYTECODE: "1" };
    return JSON.parse(await client(clientProgram("boto3"), [SCRIPT, name, folder], { env }));
  };

  it("a tree of odd names, there and back, listed in pages and in UTF-8 order", async () => {
    const folder = scratch(server);
    makeOddTree(join(folder, "from"));
    const found = (await step("tree", folder)) as { keys: string[]; sorted: boolean };
    expect(found.sorted).toBe(true);
    expect([...found.keys].sort()).toEqual(Object.keys(treeOf(join(folder, "from"))).sort());
    expect(treeOf(join(folder, "to"))).toEqual(treeOf(join(folder, "from")));
  }, 120_000);

  it("collections: made, filtered, deleted in one request, and the bucket after them", async () => {
    const left = [
      ...Array.from({ length: 10 }, (_unused, i) => `logs/0${i}`),
      ...["0", "1", "2", "3", "4"].map((i) => `logs/2${i}`),
    ];
    expect(await step("resources")).toEqual({ left, type: "text/x-log", number: "7", bytes: 7 });
  }, 120_000);

  it("200 MiB in parts of 16 MiB, with a checksum, and back", async () => {
    const folder = scratch(server);
    const sum = makeLargeFile(join(folder, "large"));
    expect(await step("large", folder)).toEqual({
      sum,
      etag: expect.stringMatching(/^"[0-9a-f]{32}-13"$/),
      checksum: [expect.stringMatching(/^ChecksumCRC(32|64NVME)$/)],
      parts: 13,
      firstBytes: 16 * 1024 ** 2,
    });
  }, 120_000);

  it("presigned PUT, GET and POST; a form that its policy does not allow is refused", async () => {
    expect(await step("presign")).toEqual({ body: "by url", posted: 204, tooLong: 400, key: "form/f.txt" });
  }, 120_000);

  it("versions, a delete marker and its removal, and the deletion of all", async () => {
    expect(await step("versions")).toEqual({ first: "one", gone: ["NoSuchKey", 404], last: "two", marker: true });
  }, 120_000);

  it("conditional writes and reads", async () => {
    expect(await step("conditions")).toEqual({
      again: ["PreconditionFailed", 412],
      stale: ["PreconditionFailed", 412],
      same: ["304", 304],
    });
  }, 120_000);

  it("bucket policies: none, one, a broken one", async () => {
    expect(await step("policies")).toEqual({
      missing: ["NoSuchBucketPolicy", 404],
      public: false,
      broken: ["MalformedPolicy", 400],
    });
  }, 120_000);

  it("errors come as the exceptions that programs catch", async () => {
    expect(await step("errors")).toEqual({
      bucket: ["NoSuchBucket", 404],
      key: ["NoSuchKey", 404],
      full: ["BucketNotEmpty", 409],
      secret: ["SignatureDoesNotMatch", 403],
      nobody: ["InvalidAccessKeyId", 403],
    });
  }, 120_000);
});
