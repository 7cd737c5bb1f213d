import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { BodySource, ObjectEngine } from "../../src/engines/object-engine.js";
import { objectsFolder, reservedBucket } from "../../src/engines/s3/bucket-book.js";
import { textOf } from "../../src/engines/s3/client.js";
import { openUpstreamEngine, type UpstreamObjectEngine } from "../../src/engines/s3/engine.js";
import { NOBODY_ELSE } from "../../src/engines/s3/state/told.js";
import type { ObjectAttributes } from "../../src/model/object.js";
import {
  ATTRIBUTES,
  ctx,
  digestOf,
  get,
  getBytes,
  linesOf,
  makeBucket,
  md5Of,
  put,
  refusalOf,
  remove,
  sourceOf,
} from "../unit/objects-engine-world.js";
import { makeUpstreamEngineWorld, openGateway, type UpstreamEngineWorld } from "./upstream-engine-world.js";

let world: UpstreamEngineWorld;
beforeAll(async () => {
  world = await makeUpstreamEngineWorld();
});
afterAll(() => world.close());

const LARGE = Buffer.alloc(3_000_001, "not of one letter ");

/** A stream whose chunks are all of one memory, as the gateway's are. */
function streamOf(bytes: Buffer, more: Partial<BodySource> = {}): BodySource {
  async function* chunks() {
    const memory = Buffer.alloc(65_536);
    for (let at = 0; at < bytes.length; at += memory.length) {
      const length = bytes.copy(memory, 0, at, at + memory.length);
      yield memory.subarray(0, length);
    }
  }
  return { bytes: chunks(), lengthBytes: bytes.length, finish: () => digestOf(bytes), ...more };
}

const putStream = (engine: ObjectEngine, bucket: string, key: string, body: BodySource) =>
  engine.put(ctx, { bucket, key, body, attributes: ATTRIBUTES, preconditions: {} });

async function rangeOf(engine: ObjectEngine, bucket: string, key: string, offset: number, length: number) {
  const opened = await engine.open(ctx, { bucket, key });
  try {
    const bytes = opened.read(offset, length);
    if (Buffer.isBuffer(bytes)) return bytes;
    const pieces: Buffer[] = [];
    for await (const piece of bytes) pieces.push(Buffer.from(piece));
    return Buffer.concat(pieces);
  } finally {
    opened.close();
  }
}

/** The keys of what is noted of a bucket's objects. */
async function notesOf(bucket: string): Promise<string[]> {
  const { client, settings } = world.upstream;
  const query = { "list-type": "2", prefix: objectsFolder(bucket) };
  const request = { method: "GET", bucket: reservedBucket(settings.prefix), query } as const;
  const text = await textOf(await client.expect(ctx, request, 200));
  return [...text.matchAll(/<Key>(.*?)<\/Key>/g)].map(([, key = ""]) => key);
}

/** Puts bytes there by another way than ours, with these headers. */
async function putUpstream(bucket: string, key: string, body: Buffer, headers: Record<string, string>) {
  const { client, settings } = world.upstream;
  await client.run(ctx, { method: "PUT", bucket: settings.prefix + bucket, key, body, headers }, 200);
}

describe("bodies", () => {
  it("of one piece and as streams, of any size: the same bytes, ETag and checksum", async () => {
    const { engine } = world;
    const bucket = await makeBucket(engine);
    for (const size of [0, 1, 65_535, 65_536, 65_537, 300_000, LARGE.length]) {
      const bytes = LARGE.subarray(0, size);
      for (const [kind, body] of [
        ["piece", sourceOf(bytes)],
        ["stream", streamOf(bytes)],
      ] as const) {
        const made = await putStream(engine, bucket, kind, body);
        const read = await engine.head(ctx, { bucket, key: kind });
        expect([read.etag, read.checksum, read.sizeBytes]).toEqual([md5Of(bytes), digestOf(bytes).checksum, size]);
        expect({ ...read, lastModifiedMs: 0 }).toEqual({ ...made, lastModifiedMs: 0 });
        expect((await getBytes(engine, bucket, kind)).equals(bytes)).toBe(true);
      }
    }
  });

  it("whose length nobody tells: small and large, an object of one piece", async () => {
    const { engine } = world;
    const bucket = await makeBucket(engine);
    const huge = Buffer.alloc(17_000_000, "0123456789abcdef!");
    for (const bytes of [Buffer.alloc(0), LARGE, huge]) {
      const made = await putStream(engine, bucket, "k", streamOf(bytes, { lengthBytes: undefined }));
      expect([made.etag, made.sizeBytes, made.partsCount]).toEqual([md5Of(bytes), bytes.length, 0]);
      expect((await getBytes(engine, bucket, "k")).equals(bytes)).toBe(true);
    }
    const page = await engine.list(ctx, { bucket, prefix: "", delimiter: "", after: "", limit: 10 });
    expect(linesOf(page, ({ etag }) => etag)).toEqual([md5Of(huge)]);
  });

  const LIES: [string, Partial<BodySource>][] = [
    ["that do not have their digest", { finish: () => Promise.reject(new Error("BadDigest")) }],
    ["that are shorter than they said", { lengthBytes: LARGE.length + 1 }],
    ["that are longer", { lengthBytes: LARGE.length - 1 }],
    [
      "of unknown length that do not have their digest",
      { lengthBytes: undefined, finish: () => Promise.reject(new Error("BadDigest")) },
    ],
    [
      "that end in the middle",
      {
        bytes: (async function* () {
          yield LARGE.subarray(0, 1_000_000);
          throw new Error("the client is gone");
        })(),
      },
    ],
  ];
  it.each(LIES)("%s: refused, what was there stays, and nothing is left", async (_what, lie) => {
    const { engine } = world;
    const bucket = await makeBucket(engine);
    await put(engine, bucket, "k", "before");
    await expect(putStream(engine, bucket, "k", streamOf(LARGE, lie))).rejects.toThrow();
    // Long enough for the upstream to do what it would do.
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await get(engine, bucket, "k")).toBe("before");
    expect((await notesOf(bucket)).filter((key) => !key.includes("/marked"))).toEqual([]);
    expect((await engine.usage(ctx, bucket)).uploads).toBe(0);
  });

  it("ranges: within the first bytes, across their end, behind it, and the last byte", async () => {
    const { engine } = world;
    const bucket = await makeBucket(engine);
    await putStream(engine, bucket, "k", streamOf(LARGE));
    for (const [offset, length] of [
      [0, 1],
      [10, 65_526],
      [65_530, 20],
      [65_536, 100],
      [2_000_000, 1_000_001],
      [LARGE.length - 1, 1],
      [1, LARGE.length - 1],
    ] as const) {
      const wanted = LARGE.subarray(offset, offset + length);
      expect((await rangeOf(engine, bucket, "k", offset, length)).equals(wanted)).toBe(true);
    }
  });

  it("that other bytes took the place of: damaged, before the last of them is given out", async () => {
    const { engine } = world;
    const bucket = await makeBucket(engine);
    const { client, settings } = world.upstream;
    for (const [key, bytes] of [
      ["small", Buffer.from("as it was")],
      ["large", LARGE],
    ] as const) {
      await putStream(engine, bucket, key, streamOf(bytes));
      const head = { method: "HEAD", bucket: settings.prefix + bucket, key } as const;
      const record = (await client.run(ctx, head, 200)).headers["x-amz-meta-granary"] as string;
      const other = Buffer.from(bytes);
      other.writeUInt8(other.readUInt8(other.length - 1) ^ 1, other.length - 1);
      await putUpstream(bucket, key, other, { "x-amz-meta-granary": record });
      expect(await refusalOf(getBytes(engine, bucket, key))).toBe("damaged");
    }
    const found: string[] = [];
    for await (const { damaged, done } of engine.scrub(ctx, bucket))
      if (done) found.push(...damaged.map(({ key }) => key));
    expect(found).toEqual(["large", "small"]);
  });

  it("overwritten between open and read: the reader is told to try again, and gets no mixture", async () => {
    const { engine } = world;
    const bucket = await makeBucket(engine);
    await putStream(engine, bucket, "k", streamOf(LARGE));
    const opened = await engine.open(ctx, { bucket, key: "k" });
    await put(engine, bucket, "k", "other");
    const read = async () => {
      for await (const _piece of opened.read(0, LARGE.length) as AsyncIterable<Buffer>) throw new Error("gave bytes");
    };
    expect(await refusalOf(read())).toBe("busy");
    opened.close();
  });
});

describe("what is said of objects", () => {
  const long = "long ".repeat(500);
  const KINDS: [string, Partial<ObjectAttributes>][] = [
    ["little", {}],
    [
      "words of every kind",
      {
        contentType: 'text/plain; charset="ü"',
        user: [
          ["a  b", " é\u{1f600} \t"],
          ["__proto__", ""],
        ],
      },
    ],
    ["more than a header takes", { user: [["long", long]], tags: [["k", "v"]], acl: JSON.stringify({ grants: long }) }],
    ["another owner and class", { ownerId: "bob", storageClass: "GLACIER" }],
  ];
  it.each(KINDS)("%s: read as it was written, listed, changed, copied", async (_what, more) => {
    const { engine } = world;
    const bucket = await makeBucket(engine);
    const attributes = { ...ATTRIBUTES, ...more };
    const made = await put(engine, bucket, "k", "body", { attributes });
    expect((await engine.head(ctx, { bucket, key: "k" })).attributes).toEqual(attributes);
    const page = await engine.list(ctx, { bucket, prefix: "", delimiter: "", after: "", limit: 10 });
    expect(linesOf(page, (entry) => `${entry.ownerId} ${entry.storageClass}`)).toEqual([
      `${attributes.ownerId} ${attributes.storageClass}`,
    ]);
    const change = { tags: [["new", long.slice(0, 200)]] as const, acl: null, generation: made.generation };
    const changed = await engine.changeVersion(ctx, { bucket, key: "k" }, change);
    expect(changed.attributes).toEqual({ ...attributes, tags: change.tags, acl: null });
    expect(await engine.head(ctx, { bucket, key: "k" })).toEqual(changed);
    const source = { bucket, key: "k", versionId: made.versionId, generation: made.generation };
    const copy = await engine.copy(ctx, { source, bucket, key: "k%2F é", attributes, preconditions: {} });
    expect(await engine.head(ctx, { bucket, key: "k%2F é" })).toEqual(copy);
    for (const key of ["k", "k%2F é"]) await remove(engine, bucket, key);
    expect((await notesOf(bucket)).filter((key) => !key.includes("/marked"))).toEqual([]);
  });

  it("changed by many at once: no change is lost", async () => {
    const { engine } = world;
    const bucket = await makeBucket(engine, { versioning: "enabled" });
    const { versionId } = await put(engine, bucket, "k", "1");
    await put(engine, bucket, "k", "2");
    const other = await openGateway(world.upstream);
    try {
      await Promise.all([
        engine.changeVersion(ctx, { bucket, key: "k", versionId }, { tags: [["a", "b"]] }),
        other.changeVersion(ctx, { bucket, key: "k", versionId }, { acl: "{}" }),
        other.changeVersion(ctx, { bucket, key: "k", versionId }, { legalHold: true }),
      ]);
      const { attributes } = await engine.head(ctx, { bucket, key: "k", versionId });
      expect([attributes.tags, attributes.acl, attributes.legalHold]).toEqual([[["a", "b"]], "{}", true]);
      expect((await engine.head(ctx, { bucket, key: "k" })).attributes.tags).toEqual([]);
    } finally {
      await other.close();
    }
  });

  it("objects that were put there by another way: read, the bucket owner's, and theirs may be changed", async () => {
    const { engine } = world;
    const bucket = await makeBucket(engine);
    const headers = { "content-type": "text/x", "x-amz-meta-colour": "blue", "cache-control": "no-cache" };
    await putUpstream(bucket, "foreign", Buffer.from("hello"), headers);
    const { attributes } = await engine.head(ctx, { bucket, key: "foreign" });
    expect(attributes).toEqual({
      ...{ ...ATTRIBUTES, contentType: "text/x", system: [["cache-control", "no-cache"]], user: [["colour", "blue"]] },
    });
    expect(await get(engine, bucket, "foreign")).toBe("hello");
    await engine.changeVersion(ctx, { bucket, key: "foreign" }, { tags: [["a", "b"]] });
    expect((await engine.head(ctx, { bucket, key: "foreign" })).attributes.tags).toEqual([["a", "b"]]);
  });
});

describe("many gateways", () => {
  let gateways: UpstreamObjectEngine[];
  beforeAll(async () => {
    gateways = [world.engine, await openGateway(world.upstream)];
  });
  afterAll(() => gateways[1]?.close());

  it.each(["off", "enabled"] as const)(
    "32 conditional writes through two of them, versions %s: one wins",
    async (versioning) => {
      const bucket = await makeBucket(world.engine, { versioning });
      const first = await put(world.engine, bucket, "matched", "first");
      const writes = (key: string, preconditions: { ifMatch?: string; ifNoneMatch?: string }) =>
        Promise.all(
          Array.from({ length: 32 }, (_, i) =>
            refusalOf(put(gateways[i % 2] as ObjectEngine, bucket, key, `${i}`, { preconditions })),
          ),
        );
      const one = ["fulfilled", ...Array(31).fill("precondition-failed")];
      expect((await writes("new", { ifNoneMatch: "*" })).sort()).toEqual(one);
      expect((await writes("matched", { ifMatch: first.etag })).sort()).toEqual(one);
    },
  );

  it("an upload that is begun at one, sent through both and completed at the other", async () => {
    const [one, two] = gateways as [UpstreamObjectEngine, UpstreamObjectEngine];
    const bucket = await makeBucket(one);
    const upload = { bucket, key: "k", initiatorId: "alice", attributes: ATTRIBUTES, checksumAlgorithm: null };
    const { uploadId } = await one.createUpload(ctx, { ...upload, checksumType: "COMPOSITE" });
    const ref = { bucket, key: "k", uploadId };
    const part = Buffer.alloc(5 * 1024 ** 2, "p");
    for (const partNumber of [1, 2])
      await (partNumber === 1 ? one : two).putPart(ctx, { ...ref, partNumber, body: streamOf(part) });
    const named = [1, 2].map((number) => ({ number, etag: md5Of(part), checksum: null }));
    const digest = () => ({ etag: `${"0".repeat(32)}-2`, checksum: null });
    const made = await two.completeUpload(ctx, { ...ref, parts: named, preconditions: {}, digest });
    expect(await one.head(ctx, { bucket, key: "k" })).toEqual(made);
    expect((await getBytes(one, bucket, "k")).equals(Buffer.concat([part, part]))).toBe(true);
  });

  it("whose upstream does not answer: unavailable, and as soon as it does all is well", async () => {
    const line = await makeLine(world.upstream.settings.endpoint);
    const engine = await openUpstreamEngine(ctx, {
      ...{ settings: { ...world.upstream.settings, endpoint: line.endpoint }, told: NOBODY_ELSE },
      ...{ log: pino({ level: "silent" }), first: false },
    });
    try {
      const bucket = await makeBucket(engine);
      await put(engine, bucket, "k", "kept");
      await line.cut();
      expect(await refusalOf(put(engine, bucket, "k", "lost"))).toBe("busy");
      expect(await refusalOf(putStream(engine, bucket, "k", streamOf(LARGE)))).toBe("busy");
      expect(await refusalOf(get(engine, bucket, "k"))).toBe("busy");
      await line.mend();
      expect(await get(engine, bucket, "k")).toBe("kept");
    } finally {
      await engine.close();
      await line.cut();
    }
  });
});

/** A connection to the upstream that can be cut. */
async function makeLine(endpoint: string) {
  const { hostname, port } = new URL(endpoint);
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on("error", () => to.destroy());
      from.on("close", () => sockets.delete(from));
      from.pipe(to);
    }
  });
  const listen = (at: number) => new Promise<void>((resolve) => server.listen(at, "127.0.0.1", resolve));
  await listen(0);
  const at = (server.address() as AddressInfo).port;
  return {
    endpoint: `http://127.0.0.1:${at}`,
    mend: () => listen(at),
    cut: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
