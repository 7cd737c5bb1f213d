import { Agent, type IncomingMessage } from "node:http";
import * as s3 from "@aws-sdk/client-s3";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { childrenOf as elementsOf, parseXml, textOf } from "../../objectstore/xml/read.js";
import { XML_DECLARATION } from "../../objectstore/xml/write.js";
import { type Call, ObjectClient } from "../root/objects-client.js";
import { type S3Server, startS3 } from "./harness.js";
import { sdkClient } from "./sdk-clients.js";

const Bucket = "slow";
let server: S3Server;
/** A connection each, which a worker has before the supervisor, and the writer in it, stand still. */
const clients: ObjectClient[] = [];
beforeAll(async () => {
  server = await startS3({ flags: ["--workers", "2"] });
  const client = connection();
  await client.makeBucket(Bucket);
  await client.put(Bucket, "source", Buffer.from("source"));
});
afterEach(() => process.kill(server.pid, "SIGCONT"));
afterAll(async () => {
  for (const client of clients) client.close();
  await server?.remove();
});

function connection(): ObjectClient {
  const client = new ObjectClient(server, 1);
  clients.push(client);
  return client;
}

/** An upload with one part, on a connection of its own, and the call that completes it. */
async function readyUpload(key: string, headers: Record<string, string> = {}): Promise<() => Promise<IncomingMessage>> {
  const client = connection();
  const uploadId = await client.createUpload(Bucket, key);
  const etag = await client.uploadPart(Bucket, key, uploadId, 1, Buffer.from("part"));
  const body = Buffer.from(
    `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>${etag}</ETag></Part></CompleteMultipartUpload>`,
  );
  return () => client.start({ method: "POST", path: `/${Bucket}/${key}`, query: { uploadId }, headers, body });
}

/** A copy, on a connection of its own. */
async function readyCopy(key: string, query: Record<string, string> = {}): Promise<() => Promise<IncomingMessage>> {
  const client = connection();
  await client.get(Bucket, "source");
  const headers = { "x-amz-copy-source": `/${Bucket}/source` };
  const call: Call = { method: "PUT", path: `/${Bucket}/${key}`, query, headers };
  return () => client.start(call);
}

/** Collects an answer; `alive` settles when a blank has come behind the declaration. */
function collected(answer: IncomingMessage): { alive: Promise<void>; text: Promise<string> } {
  let sofar = "";
  let isAlive = () => {};
  const alive = new Promise<void>((resolve) => {
    isAlive = resolve;
  });
  const text = (async () => {
    for await (const piece of answer) {
      sofar += String(piece);
      if (sofar.startsWith(`${XML_DECLARATION} `)) isAlive();
    }
    return sofar;
  })();
  return { alive, text };
}

const sdkOnOneConnection = () =>
  sdkClient(server, server, { requestHandler: { httpAgent: new Agent({ keepAlive: true, maxSockets: 1 }) } });

describe("rule 26: the answers of work that takes long, over HTTP", () => {
  it("200 after ten seconds, a blank every ten, then the document or its error; SDKs take it for what it is", async () => {
    const { UploadId } = await sdk(new s3.CreateMultipartUploadCommand({ Bucket, Key: "parts" }));
    const calls = [
      await readyUpload("completed"),
      await readyCopy("copied"),
      await readyCopy("parts", { partNumber: "1", uploadId: String(UploadId) }),
      await readyUpload("source", { "if-match": '"00000000000000000000000000000000"' }),
    ];
    const [copying, refused] = [sdkOnOneConnection(), sdkOnOneConnection()];
    await copying.send(new s3.HeadObjectCommand({ Bucket, Key: "source" }));
    const begun = await refused.send(new s3.CreateMultipartUploadCommand({ Bucket, Key: "source" }));
    const raced = { Bucket, Key: "source", UploadId: begun.UploadId };
    const { ETag } = await refused.send(new s3.UploadPartCommand({ ...raced, PartNumber: 1, Body: "x" }));
    const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };

    process.kill(server.pid, "SIGSTOP");
    const bySdk = copying.send(new s3.CopyObjectCommand({ Bucket, Key: "sdk", CopySource: `${Bucket}/source` }));
    const refusedBySdk = refused
      .send(new s3.CompleteMultipartUploadCommand({ ...raced, MultipartUpload, IfMatch: '"0"' }))
      .catch((error: Error) => error.name);
    const answers = await Promise.all(calls.map((call) => call()));
    expect(answers.map(({ statusCode, headers }) => [statusCode, headers["content-type"]])).toEqual(
      calls.map(() => [200, "application/xml"]),
    );
    const bodies = answers.map(collected);
    await Promise.all(bodies.map(({ alive }) => alive));
    process.kill(server.pid, "SIGCONT");

    const texts = await Promise.all(bodies.map(({ text }) => text));
    for (const text of texts) expect(text.slice(XML_DECLARATION.length)).toMatch(/^ +<\w/);
    const documents = texts.map((text) => parseXml(text));
    expect(documents.map(({ name }) => name)).toEqual([
      ...["CompleteMultipartUploadResult", "CopyObjectResult", "CopyPartResult", "Error"],
    ]);
    const failure = documents[3] as (typeof documents)[number];
    expect([textOf(failure, "Code"), elementsOf(failure, "RequestId").length]).toEqual(["PreconditionFailed", 1]);
    expect((await bySdk).CopyObjectResult?.ETag).toMatch(/^"[0-9a-f]{32}"$/);
    expect(await refusedBySdk).toBe("PreconditionFailed");
    copying.destroy();
    refused.destroy();

    const client = connection();
    expect(await client.get(Bucket, "completed")).toEqual(Buffer.from("part"));
    expect(await client.get(Bucket, "copied")).toEqual(Buffer.from("source"));
    expect(await client.get(Bucket, "source")).toEqual(Buffer.from("source"));
  });
});

async function sdk(command: s3.CreateMultipartUploadCommand) {
  const once = sdkOnOneConnection();
  try {
    return await once.send(command);
  } finally {
    once.destroy();
  }
}
