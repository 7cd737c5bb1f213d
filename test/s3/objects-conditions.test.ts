import { describe, expect, it } from "vitest";
import type { RawAnswer } from "./exact-request.js";
import { useWorld } from "./s3-world.js";

const world = useWorld();
const DAY_MS = 86_400_000;
const date = (ms: number) => new Date(ms).toUTCString();
const outcome = ({ status, code }: RawAnswer) => (code === "" ? `${status}` : `${status} ${code}`);

/** The three forms of RFC 9110. */
function dateForms(ms: number): string[] {
  const at = new Date(ms);
  const [weekday = "", day = "", month = "", year = "", clock = ""] = at.toUTCString().replace(",", "").split(" ");
  const long = at.toLocaleDateString("en-US", { weekday: "long", timeZone: "UTC" });
  return [
    at.toUTCString(),
    `${long}, ${day}-${month}-${year.slice(2)} ${clock} GMT`,
    `${weekday} ${month} ${day.replace(/^0/, " ")} ${clock} ${year}`,
  ];
}

describe("rule 16: conditional reads", () => {
  it("ETags: If-Match and If-None-Match, quoted, bare, in a list, and *", async () => {
    const bucket = await world.bucket();
    const etag = (await world.put(bucket, "k", "x")).headers.etag ?? "";
    const bare = etag.replaceAll('"', "");
    for (const value of [etag, bare, `"other", ${etag}`, "*"]) {
      expect((await world.get(bucket, "k", { "if-match": value })).status).toBe(200);
      expect((await world.get(bucket, "k", { "if-none-match": value })).status).toBe(304);
    }
    const failed = await world.get(bucket, "k", { "if-match": '"other"' });
    expect(outcome(failed)).toBe("412 PreconditionFailed");
    expect(failed.text).toContain("<Condition>If-Match</Condition>");
    expect((await world.get(bucket, "k", { "if-none-match": '"other"' })).status).toBe(200);
  });

  it("dates in all three forms", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "x");
    for (const past of dateForms(Date.now() - DAY_MS)) {
      expect((await world.get(bucket, "k", { "if-modified-since": past })).status).toBe(200);
      expect(outcome(await world.get(bucket, "k", { "if-unmodified-since": past }))).toBe("412 PreconditionFailed");
    }
    for (const future of dateForms(Date.now() + DAY_MS)) {
      // Of a time to come it says nothing.
      expect((await world.get(bucket, "k", { "if-modified-since": future })).status).toBe(200);
      expect((await world.get(bucket, "k", { "if-unmodified-since": future })).status).toBe(200);
    }
  });

  it("If-Modified-Since of its Last-Modified: 304; If-Unmodified-Since of it: 200", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "x");
    const modified = (await world.get(bucket, "k")).headers["last-modified"] ?? "";
    expect((await world.get(bucket, "k", { "if-modified-since": modified })).status).toBe(304);
    expect((await world.get(bucket, "k", { "if-unmodified-since": modified })).status).toBe(200);
  });

  it("ETags decide over dates", async () => {
    const bucket = await world.bucket();
    const etag = (await world.put(bucket, "k", "x")).headers.etag ?? "";
    const [past, future] = [date(Date.now() - DAY_MS), date(Date.now() + DAY_MS)];
    const got = (headers: Record<string, string>) => world.get(bucket, "k", headers).then(({ status }) => status);
    expect(await got({ "if-match": etag, "if-unmodified-since": past })).toBe(200);
    expect(await got({ "if-none-match": etag, "if-modified-since": past })).toBe(304);
    expect(await got({ "if-none-match": '"other"', "if-modified-since": future })).toBe(200);
  });

  it("rule 15: 304 has ETag and Last-Modified, and no body; HEAD alike", async () => {
    const bucket = await world.bucket();
    const etag = (await world.put(bucket, "k", "x", { "x-amz-meta-a": "1" })).headers.etag ?? "";
    for (const method of ["GET", "HEAD"]) {
      const answer = await world.send(bucket, "k", { method, headers: { "if-none-match": etag } });
      expect([answer.status, answer.text]).toEqual([304, ""]);
      expect(answer.headers.etag).toBe(etag);
      expect(answer.headers["last-modified"]).toBeDefined();
      expect(answer.headers["x-amz-meta-a"]).toBeUndefined();
    }
    const failed = await world.send(bucket, "k", { method: "HEAD", headers: { "if-match": '"other"' } });
    expect([failed.status, failed.text]).toEqual([412, ""]);
  });
});

describe("rule 16: conditional writes", () => {
  it("If-None-Match: * on a key that is not there: 200; on one that is: 412 with the condition", async () => {
    const bucket = await world.bucket();
    expect((await world.put(bucket, "k", "1", { "if-none-match": "*" })).status).toBe(200);
    const second = await world.put(bucket, "k", "2", { "if-none-match": "*" });
    expect(outcome(second)).toBe("412 PreconditionFailed");
    expect(second.text).toContain("<Condition>If-None-Match</Condition>");
    expect((await world.get(bucket, "k")).text).toBe("1");
  });

  it("If-Match: the ETag that is there: 200; another: 412; a key that is not there: 404", async () => {
    const bucket = await world.bucket();
    const etag = (await world.put(bucket, "k", "1")).headers.etag ?? "";
    expect((await world.put(bucket, "k", "2", { "if-match": etag })).status).toBe(200);
    expect(outcome(await world.put(bucket, "k", "3", { "if-match": etag }))).toBe("412 PreconditionFailed");
    expect(outcome(await world.put(bucket, "none", "3", { "if-match": etag }))).toBe("404 NoSuchKey");
    expect((await world.put(bucket, "k", "4", { "if-match": "*" })).status).toBe(200);
    expect((await world.get(bucket, "k")).text).toBe("4");
  });

  it("a delete marker is no object: If-None-Match: * writes, If-Match: 404", async () => {
    const bucket = await world.bucket({ versioning: "Enabled" });
    const etag = (await world.put(bucket, "k", "1")).headers.etag ?? "";
    await world.send(bucket, "k", { method: "DELETE" });
    expect(outcome(await world.put(bucket, "k", "2", { "if-match": etag }))).toBe("404 NoSuchKey");
    expect((await world.put(bucket, "k", "2", { "if-none-match": "*" })).status).toBe(200);
  });

  it("what a write cannot promise: 501, and the object is as it was", async () => {
    const bucket = await world.bucket();
    const etag = (await world.put(bucket, "k", "1")).headers.etag ?? "";
    const now = date(Date.now());
    const combinations: Record<string, string>[] = [
      { "if-match": etag, "if-none-match": "*" },
      { "if-modified-since": now },
      { "if-unmodified-since": now },
    ];
    for (const headers of combinations) {
      expect(outcome(await world.put(bucket, "k", "2", headers))).toBe("501 NotImplemented");
    }
    expect((await world.get(bucket, "k")).text).toBe("1");
  });

  it("large bodies too: a condition that fails keeps nothing of them", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "1");
    const large = Buffer.alloc(4_000_000, 1);
    expect(outcome(await world.put(bucket, "k", large, { "if-none-match": "*" }))).toBe("412 PreconditionFailed");
    expect((await world.get(bucket, "k")).text).toBe("1");
  });
});

describe("rule 16: conditional deletes", () => {
  const remove = (bucket: string, headers: Record<string, string>) =>
    world.send(bucket, "k", { method: "DELETE", headers });

  it("If-Match: another ETag: 412; *, and the ETag that is there: 204; a key that is not there: 404", async () => {
    const bucket = await world.bucket();
    const etag = (await world.put(bucket, "k", "1")).headers.etag ?? "";
    expect(outcome(await remove(bucket, { "if-match": '"other"' }))).toBe("412 PreconditionFailed");
    expect((await remove(bucket, { "if-match": etag })).status).toBe(204);
    expect(outcome(await remove(bucket, { "if-match": etag }))).toBe("404 NoSuchKey");
    await world.put(bucket, "k", "1");
    expect((await remove(bucket, { "if-match": "*" })).status).toBe(204);
  });

  it("size and time of last modification", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "k", "12345");
    const modified = (await world.get(bucket, "k")).headers["last-modified"] ?? "";
    const wrong: Record<string, string>[] = [
      { "x-amz-if-match-size": "4" },
      { "x-amz-if-match-last-modified-time": date(Date.now() - DAY_MS) },
    ];
    for (const headers of wrong) expect(outcome(await remove(bucket, headers))).toBe("412 PreconditionFailed");
    const right = { "x-amz-if-match-size": "5", "x-amz-if-match-last-modified-time": modified };
    expect((await remove(bucket, right)).status).toBe(204);
  });
});

describe("rule 16: 32 writers at once, over two workers", () => {
  const statuses = (answers: RawAnswer[]) => answers.map(({ status }) => status);
  const losers = (found: number[]) => found.filter((status) => status !== 200 && status !== 204);

  it("If-None-Match: *: one wins, 412 or 409 for the others, and the winner's bytes are there", async () => {
    const bucket = await world.bucket();
    const answers = await Promise.all(
      Array.from({ length: 32 }, (_none, i) => world.put(bucket, "k", `writer ${i}`, { "if-none-match": "*" })),
    );
    const found = statuses(answers);
    expect(found.filter((status) => status === 200)).toHaveLength(1);
    expect(losers(found).every((status) => status === 412 || status === 409)).toBe(true);
    expect((await world.get(bucket, "k")).text).toBe(`writer ${found.indexOf(200)}`);
  });

  it("If-Match of one ETag, bodies of 300 KB: one wins", async () => {
    const bucket = await world.bucket();
    const etag = (await world.put(bucket, "k", "0")).headers.etag ?? "";
    const bodies = Array.from({ length: 32 }, (_none, i) => Buffer.alloc(300_000, i + 1));
    const answers = await Promise.all(bodies.map((body) => world.put(bucket, "k", body, { "if-match": etag })));
    const found = statuses(answers);
    expect(found.filter((status) => status === 200)).toHaveLength(1);
    expect(losers(found).every((status) => status === 412 || status === 409)).toBe(true);
    expect((await world.get(bucket, "k")).bytes.equals(bodies[found.indexOf(200)] as Buffer)).toBe(true);
  });

  it("deletes with If-Match: one wins, 404 for the others", async () => {
    const bucket = await world.bucket();
    const etag = (await world.put(bucket, "k", "0")).headers.etag ?? "";
    const answers = await Promise.all(
      Array.from({ length: 32 }, () => world.send(bucket, "k", { method: "DELETE", headers: { "if-match": etag } })),
    );
    const found = statuses(answers);
    expect(found.filter((status) => status === 204)).toHaveLength(1);
    expect(losers(found).every((status) => status === 404 || status === 409)).toBe(true);
  });

  it("a counter by compare-and-swap: no increment is lost", async () => {
    const bucket = await world.bucket();
    await world.put(bucket, "n", "0");
    const increment = async (): Promise<void> => {
      for (;;) {
        const seen = await world.get(bucket, "n");
        const body = String(Number(seen.text) + 1);
        const { status } = await world.put(bucket, "n", body, { "if-match": seen.headers.etag ?? "" });
        if (status === 200) return;
        expect([409, 412]).toContain(status);
      }
    };
    await Promise.all(Array.from({ length: 16 }, increment));
    expect((await world.get(bucket, "n")).text).toBe("16");
  });
});
