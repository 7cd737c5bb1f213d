import pino from "pino";
import { describe, expect, it } from "vitest";
import { slowAnswer } from "../../objectstore/slow-answer.js";
import type { RequestContext, S3Response } from "../../objectstore/types.js";
import { parseXml, textOf } from "../../objectstore/xml/read.js";
import { leaf, xmlDocument } from "../../objectstore/xml/write.js";
import { S3Error } from "../../src/errors/s3-error.js";

/** What an answer is made of in this file: a request's path, its id and a log. */
const ctx = {
  requestId: "ID",
  request: { rawPath: "/b/k" },
  log: pino({ level: "silent" }),
} as unknown as RequestContext;
const TIMES = { patienceMs: 5, signOfLifeMs: 5 };
const done: S3Response = { status: 200, headers: { etag: "x" }, body: xmlDocument("Done", leaf("Key", "k")) };

async function read(answer: S3Response): Promise<string[]> {
  const pieces: string[] = [];
  for await (const piece of answer.body as AsyncIterable<Buffer>) pieces.push(piece.toString());
  return pieces;
}

/** Work that ends when the test says so. */
function work() {
  let finish: (outcome: S3Response | Error) => void = () => {};
  const ended = new Promise<S3Response>((resolve, reject) => {
    finish = (outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome));
  });
  return { ended, finish };
}

describe("rule 26: the answer of long work", () => {
  it("done in time: its own status and headers", async () => {
    expect(await slowAnswer(ctx, Promise.resolve(done), TIMES)).toBe(done);
  });

  it("failed in time: its error, with the status that it has", async () => {
    await expect(slowAnswer(ctx, Promise.reject(new S3Error("InvalidPart")), TIMES)).rejects.toMatchObject({
      status: 400,
    });
  });

  it("not in time: 200, the declaration, blanks, then the document: one well-formed whole", async () => {
    const { ended, finish } = work();
    const answer = await slowAnswer(ctx, ended, TIMES);
    expect([answer.status, answer.headers, answer.lengthBytes]).toEqual([
      ...[200, { "content-type": "application/xml" }, undefined],
    ]);
    setTimeout(() => finish(done), 40);
    const pieces = await read(answer);
    expect(pieces[0]).toMatch(/^<\?xml/);
    expect(pieces.slice(1, -1).length).toBeGreaterThan(0);
    expect(pieces.slice(1, -1).every((piece) => piece === " ")).toBe(true);
    expect(textOf(parseXml(pieces.join("")), "Key")).toBe("k");
  });

  it("failed after its head was sent: the error in the body, with the request's id", async () => {
    const { ended, finish } = work();
    const answer = await slowAnswer(ctx, ended, TIMES);
    finish(new S3Error("PreconditionFailed", undefined, { fields: { Condition: "If-Match" } }));
    const xml = parseXml((await read(answer)).join(""));
    expect(xml.name).toBe("Error");
    expect([textOf(xml, "Code"), textOf(xml, "Condition"), textOf(xml, "RequestId")]).toEqual([
      ...["PreconditionFailed", "If-Match", "ID"],
    ]);
  });

  it("a client that is gone before it fails: nobody's unhandled rejection", async () => {
    const { ended, finish } = work();
    const answer = await slowAnswer(ctx, ended, TIMES);
    const iterator = (answer.body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
    await iterator.next();
    await iterator.return?.();
    finish(new S3Error("InternalError"));
    await new Promise((resolve) => setTimeout(resolve, 10));
  });
});
