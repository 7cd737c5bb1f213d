import type { WritePreconditions } from "../../src/engines/object-engine.js";
import { S3Error } from "../../src/errors/s3-error.js";
import { StorageError } from "../../src/errors/storage-error.js";
import type { ObjectVersion } from "../../src/model/object.js";
import { decodePercent } from "../copy-source.js";
import { allowDelete } from "../delete-needs.js";
import { checkSourceConditions, conditionFailed } from "../http/conditions.js";
import { checkKeyLength } from "../http/target.js";
import { allowWrite, currentOrNone, missingFor, versionNeed } from "../object-needs.js";
import { writePreconditions } from "../preconditions.js";
import type { Operation, RequestContext } from "../types.js";
import { refuseUnsupported } from "../unsupported.js";
import { conditionNamed } from "../write-refused.js";

const HEADER = "x-amz-rename-source";
const ATTEMPTS = 5;
const DATES = ["if-modified-since", "if-unmodified-since"] as const;

/**
 * API reference, RenameObject: an object moves to another key of its bucket, at once and without its bytes. Amazon has it
 * in directory buckets alone; here every bucket has it. Who may read and delete the one key and write the other may.
 */
export const renameObject: Operation = {
  name: "RenameObject",
  scope: "object",
  async run(ctx) {
    const { bucket, key } = ctx;
    const from = sourceKey(ctx.request.headers.get(HEADER));
    await allowWrite(ctx, { bucket, key, createsObject: true });
    await allowDelete(ctx, { key: from, versionId: undefined, ifMatch: undefined });
    refuseUnsupported(ctx.request.headers);
    for (const name of [from, key]) if (name.endsWith("/")) throw ofFolder(name);
    if (from === key) throw new S3Error("InvalidRequest", "An object cannot be renamed to the name it has");
    for (let attempt = 1; ; attempt++) {
      try {
        await rename(ctx, from);
        return { status: 200, headers: {} };
      } catch (error) {
        if (attempt === ATTEMPTS || !(error instanceof StorageError && error.reason === "conflict")) throw error;
      }
    }
  },
};

/** @throws S3Error InvalidArgument, KeyTooLongError */
function sourceKey(header: string | undefined): string {
  const key = header === undefined ? undefined : decodePercent(header);
  if (key === undefined || key === "") {
    throw new S3Error("InvalidArgument", `${HEADER} must be a key, URL encoded`, {
      fields: { ArgumentName: HEADER, ...(header === undefined ? {} : { ArgumentValue: header }) },
    });
  }
  checkKeyLength(key);
  return key;
}

function ofFolder(key: string): S3Error {
  return new S3Error("InvalidRequest", "A key that ends in a slash can be neither renamed nor the new name", {
    fields: { Key: key },
  });
}

async function rename(ctx: RequestContext, from: string): Promise<void> {
  const { bucket, key } = ctx;
  const source = await readSource(ctx, from);
  const toPreconditions = await targetPreconditions(ctx);
  const fromPreconditions = { generation: source.generation };
  try {
    await ctx.engine.rename(ctx, { bucket: bucket.name, from, to: key, fromPreconditions, toPreconditions });
  } catch (error) {
    throw conditionNamed(error, toPreconditions, key);
  }
}

async function readSource(ctx: RequestContext, from: string): Promise<ObjectVersion> {
  const { bucket } = ctx;
  let source: ObjectVersion;
  try {
    source = await ctx.engine.head(ctx, { bucket: bucket.name, key: from });
  } catch (error) {
    throw await missingFor(ctx, bucket, from, undefined, error);
  }
  await ctx.allow(versionNeed("s3:GetObject", bucket, from, undefined, source));
  checkSourceConditions(ctx.request.headers, `${HEADER}-`, source);
  return source;
}

/**
 * The conditions on the object that is at the new name. This write, unlike others, has dates among them: they are decided
 * on the version there now, and the engine is told that it must be that one.
 *
 * @throws S3Error PreconditionFailed, InvalidArgument, NotImplemented
 */
async function targetPreconditions(ctx: RequestContext): Promise<WritePreconditions> {
  const { headers } = ctx.request;
  if (!DATES.some((name) => headers.has(name))) return writePreconditions(headers);
  const current = await currentOrNone(ctx, ctx.bucket, ctx.key);
  if (!current) throw conditionFailed(headers.has("if-unmodified-since") ? "If-Unmodified-Since" : "If-Modified-Since");
  await ctx.allow(versionNeed("s3:GetObject", ctx.bucket, ctx.key, undefined, current));
  checkSourceConditions(headers, "", current);
  return { generation: current.generation };
}
