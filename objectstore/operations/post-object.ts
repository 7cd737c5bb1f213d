import type { BodySource } from "../../src/engines/object-engine.js";
import { S3Error } from "../../src/errors/s3-error.js";
import type { ObjectVersion } from "../../src/model/object.js";
import { MAX_PUT_BYTES } from "../../src/model/object.js";
import { authenticateForm, missingField } from "../auth/post-form.js";
import { checkPostPolicy, type FileRange, type FormValues, parsePostPolicy } from "../auth/post-policy.js";
import { readDeclared } from "../body/declared.js";
import { type Form, formBoundary, readForm } from "../body/form.js";
import { streamSource } from "../body/stream-source.js";
import { formRequest, formValues } from "../form-request.js";
import { percentEncode } from "../http/percent.js";
import { checkKeyLength } from "../http/target.js";
import { newObjectAttributes, writtenHeaders } from "../new-object.js";
import { allowWrite } from "../object-needs.js";
import type { Operation, RequestContext, S3Request, S3Response } from "../types.js";
import { element, leaf, XML_CONTENT_TYPE, XML_DECLARATION } from "../xml/write.js";

/**
 * S3 API, "POST Object": a browser's form. Who sends it, the key and what PUT has in headers stand in its fields, so they
 * are read first (20 KB at most); the file is read only when the policy and the bucket allow it.
 */
export const postObject: Operation = {
  name: "PostObject",
  scope: "bucket",
  async run(ctx) {
    const boundary = formBoundary(ctx.request.headers.get("content-type"));
    if (boundary === undefined) {
      throw new S3Error("PreconditionFailed", undefined, {
        fields: { Condition: "Bucket POST must be of the enclosure-type multipart/form-data" },
      });
    }
    if (ctx.auth.type !== "anonymous" || ctx.auth.payload.kind !== "unsigned") {
      throw new S3Error("InvalidRequest", "A POST form is signed by its policy field, and by no header or query");
    }
    const form = await readForm(ctx.body.raw(), boundary);
    try {
      return await store(ctx, form);
    } finally {
      await form.close();
    }
  },
};

async function store(ctx: RequestContext, form: Form): Promise<S3Response> {
  const values = formValues(form);
  const range = identify(ctx, values);
  const { bucket, key } = ctx;
  await allowWrite(ctx, { bucket, key, createsObject: true });
  if (!form.file) {
    throw new S3Error("InvalidArgument", "POST requires exactly one file upload per request.", {
      fields: { ArgumentName: "file", ArgumentValue: "0" },
    });
  }
  const attributes = newObjectAttributes(ctx, bucket, ctx.request.headers);
  const body = sourceOf(ctx.request, withinRange(form.file.bytes, range));
  const version = await ctx.engine.put(ctx, { bucket: bucket.name, key, attributes, preconditions: {}, body });
  return answer(ctx, values, version);
}

/** From here on the request is what the form says, under the policy that it bears. */
function identify(ctx: RequestContext, values: FormValues): FileRange {
  const key = values.get("key");
  if (key === undefined) throw missingField("key");
  if (key === "") {
    throw new S3Error("InvalidArgument", "User key must have a length greater than 0.", {
      fields: { ArgumentName: "key", ArgumentValue: "" },
    });
  }
  checkKeyLength(key);
  let range: FileRange = { min: 0, max: Number.POSITIVE_INFINITY };
  ctx.become(formRequest(ctx.request, key, values), (authority) => {
    const auth = authenticateForm(values, authority);
    const policy = values.get("policy");
    if (policy !== undefined) {
      range = checkPostPolicy(parsePostPolicy(policy), values, ctx.bucket.name, authority.nowMs);
    }
    return auth;
  });
  return range;
}

function sourceOf(request: S3Request, pieces: AsyncIterable<Buffer>): BodySource {
  const declared = readDeclared(request.headers, { kind: "unsigned" });
  const algorithm = declared.checksum?.algorithm ?? "CRC64NVME";
  return streamSource({
    pieces,
    lengthBytes: undefined,
    declared,
    algorithm,
    checksum: () => declared.checksum?.value,
  });
}

/** content-length-range: enforced while the file comes in. */
async function* withinRange(pieces: AsyncIterable<Buffer>, { min, max }: FileRange): AsyncGenerator<Buffer> {
  const limit = Math.min(max, MAX_PUT_BYTES);
  let taken = 0;
  for await (const piece of pieces) {
    taken += piece.length;
    if (taken > limit) {
      throw new S3Error("EntityTooLarge", undefined, {
        fields: { ProposedSize: String(taken), MaxSizeAllowed: String(limit) },
      });
    }
    yield piece;
  }
  if (taken < min) {
    throw new S3Error("EntityTooSmall", undefined, {
      fields: { ProposedSize: String(taken), MinSizeAllowed: String(min) },
    });
  }
}

function answer(ctx: RequestContext, values: FormValues, version: ObjectVersion): S3Response {
  const { bucket, key, request } = ctx;
  const location = locationOf(request, bucket.name, key);
  const headers: Record<string, string> = { ...writtenHeaders(ctx, bucket, version), location };
  const redirect = redirectOf(values.get("success_action_redirect") ?? values.get("redirect"));
  if (redirect) {
    const { searchParams } = redirect;
    searchParams.append("bucket", bucket.name);
    searchParams.append("key", key);
    searchParams.append("etag", `"${version.etag}"`);
    return { status: 303, headers: { ...headers, location: redirect.href } };
  }
  const status = values.get("success_action_status");
  if (status === "200") return { status: 200, headers };
  if (status !== "201") return { status: 204, headers };
  const content = [leaf("Location", location), leaf("Bucket", bucket.name), leaf("Key", key)];
  const body = `${XML_DECLARATION}${element("PostResponse", ...content, leaf("ETag", `"${version.etag}"`))}`;
  return { status: 201, headers: { ...headers, "content-type": XML_CONTENT_TYPE }, body };
}

/** S3: "If Amazon S3 cannot interpret the URL, it acts as if the field is not present". Others than HTTP's would run scripts. */
function redirectOf(text: string | undefined): URL | undefined {
  if (!text || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  return url.protocol === "http:" || url.protocol === "https:" ? url : undefined;
}

function locationOf(request: S3Request, bucket: string, key: string): string {
  const base = `${request.secure ? "https" : "http"}://${request.headers.get("host") ?? ""}`;
  const path = percentEncode(Buffer.from(key), "encoded");
  return request.virtualHosted ? `${base}/${path}` : `${base}/${bucket}/${path}`;
}
