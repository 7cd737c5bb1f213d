import { join } from "node:path";
import {
  CreateBucketCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type S3Server, startS3 } from "./harness.js";
import { type KeyPair, sdkClient } from "./sdk-clients.js";

let server: S3Server;
let alice: KeyPair;
let sdk: S3Client;
let target: string;

beforeAll(async () => {
  server = await startS3();
  const made = JSON.parse(server.granary("user", "create", "alice", "--policy", "readwrite", "-o", "json").stdout);
  alice = { accessKey: made.accessKey, secretKey: made.secretKey };
  sdk = sdkClient(server, alice);
  target = join(server.dir, "target");
  await sdk.send(new CreateBucketCommand({ Bucket: "photos" }));
  for (let i = 0; i < 50; i++)
    await sdk.send(
      new PutObjectCommand({ Bucket: "photos", Key: `key-${i}`, Body: `body ${i}`, Tagging: "kind=photo" }),
    );
});
afterAll(async () => {
  sdk?.destroy();
  await server?.remove();
});

const migrate = (...more: string[]) =>
  server.granary("migrate", "bucket", "photos", "--to", "local", "--to-data-dir", target, ...more);

describe("granary migrate bucket", () => {
  it("while the bucket is served: says what it did; the owner's keys read the same objects from the target", async () => {
    const { code, stdout, stderr } = migrate("-o", "json");
    expect([code, stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout)).toMatchObject({ bucket: "photos", totalVersions: 50, copied: 50, removed: 0 });
    // The source serves on.
    await sdk.send(new GetObjectCommand({ Bucket: "photos", Key: "key-1" }));
    const second = await startS3({ dataDir: target });
    const there = sdkClient(second, alice);
    try {
      const { Body, ETag } = await there.send(new GetObjectCommand({ Bucket: "photos", Key: "key-7" }));
      expect(await Body?.transformToString()).toBe("body 7");
      expect(ETag).toMatch(/^"[0-9a-f]{32}"$/);
      const { TagSet } = await there.send(new GetObjectTaggingCommand({ Bucket: "photos", Key: "key-7" }));
      expect(TagSet).toEqual([{ Key: "kind", Value: "photo" }]);
    } finally {
      there.destroy();
      await second.remove();
    }
  });

  it("a second time: refused, as the target may have been written to; --again brings it up to date", async () => {
    const { code, stderr } = migrate();
    expect(code).toBe(1);
    expect(stderr).toMatch(/^granary: bucket photos is migrated already; --again .*\n$/);
    await sdk.send(new PutObjectCommand({ Bucket: "photos", Key: "late", Body: "late" }));
    const again = migrate("--again");
    expect([again.code, again.stderr]).toEqual([0, ""]);
    expect(again.stdout).toMatch(
      /^bucket photos migrated from .* to .*: 51 versions, .* verified; copied now: 1 version, 4 B\n$/,
    );
  });

  it.each([
    { words: ["photos", "--to", "local"], says: /the bucket is there already; for another data dir/ },
    { words: ["photos", "--to", "s3", "--to-data-dir", "/x"], says: /--to-data-dir goes with --to local/ },
    { words: ["photos", "--to", "tape"], says: /Allowed choices are local, s3/ },
  ])("granary migrate bucket $words: refused, and says what is wrong", ({ words, says }) => {
    const { code, stderr } = server.granary("migrate", "bucket", ...words);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(says);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  it("a bucket of that name in the target that no migration made is left alone", async () => {
    const other = join(server.dir, "other");
    const second = await startS3({ dataDir: other });
    const theirs = sdkClient(second);
    await theirs.send(new CreateBucketCommand({ Bucket: "photos" }));
    theirs.destroy();
    await second.remove();
    const { code, stderr } = server.granary("migrate", "bucket", "photos", "--to", "local", "--to-data-dir", other);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/has a bucket photos that no migration from here made/)]);
  });
});
