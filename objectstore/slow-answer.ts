import { toS3Error } from "../src/errors/s3-error.js";
import { HOST_ID } from "./http/request-id.js";
import type { RequestContext, S3Response } from "./types.js";
import { errorXml, XML_CONTENT_TYPE, XML_DECLARATION } from "./xml/write.js";

/** Until then an answer has its own status and headers. */
const PATIENCE_MS = 10_000;
/** Clients and proxies give up on a connection that is silent for a minute. */
const SIGN_OF_LIFE_MS = 10_000;

export interface SlowAnswerTimes {
  patienceMs: number;
  signOfLifeMs: number;
}

const TIMES: SlowAnswerTimes = { patienceMs: PATIENCE_MS, signOfLifeMs: SIGN_OF_LIFE_MS };

/**
 * The answer of work that may take minutes. What is done soon is answered as anything else. What is not is 200 at once,
 * then a blank every few seconds, then the document, which is an `<Error>` if it came to that: S3's way for
 * CompleteMultipartUpload, CopyObject and UploadPartCopy, which its clients know. Headers that only the work knows
 * (the version's id) are then not sent.
 *
 * @param work answers with an XML document as a string
 */
export async function slowAnswer(
  ctx: RequestContext,
  work: Promise<S3Response>,
  times: SlowAnswerTimes = TIMES,
): Promise<S3Response> {
  const early = await within(work, times.patienceMs);
  if (early) return early;
  // It is awaited again below, where the client may be gone before: then its failure is nobody's.
  work.catch(() => {});
  return {
    status: 200,
    headers: { "content-type": XML_CONTENT_TYPE },
    body: blanksThen(ctx, work, times.signOfLifeMs),
  };
}

/** What the work came to, or undefined when it is not done in time. Rejects as the work does. */
async function within<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

async function* blanksThen(ctx: RequestContext, work: Promise<S3Response>, everyMs: number): AsyncGenerator<Buffer> {
  // A blank before the declaration would make the document malformed, so that comes first.
  yield Buffer.from(XML_DECLARATION);
  const document = work.then(
    ({ body }) => String(body),
    (error: unknown) => failureXml(ctx, error),
  );
  for (;;) {
    const xml = await within(document, everyMs);
    if (xml !== undefined) {
      yield Buffer.from(xml.slice(XML_DECLARATION.length));
      return;
    }
    yield Buffer.from(" ");
  }
}

function failureXml(ctx: RequestContext, error: unknown): string {
  const { code, message, fields, status } = toS3Error(error);
  if (status >= 500) ctx.log.error({ err: error }, "a slow request failed after its head was sent");
  return errorXml({ code, message, resource: ctx.request.rawPath, requestId: ctx.requestId, hostId: HOST_ID, fields });
}
