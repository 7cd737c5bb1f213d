import { S3Error } from "../../src/errors/s3-error.js";
import type { Bucket } from "../../src/model/bucket.js";
import { ownerToList } from "../access/decide.js";
import type { Caller, Operation, RequestContext } from "../types.js";
import { element, leaf, optionalLeaf, timeLeaf, XML_CONTENT_TYPE, xmlDocument } from "../xml/write.js";

/** API reference, ListBuckets: the most that one page holds, and what it holds where nothing is said. */
const MAX_BUCKETS = 10_000;
const PAGE = 1000;

function invalid(name: string, value: string, message: string): S3Error {
  return new S3Error("InvalidArgument", message, { fields: { ArgumentName: name, ArgumentValue: value } });
}

function maxBuckets(text: string | undefined): number {
  if (text === undefined) return MAX_BUCKETS;
  const count = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= MAX_BUCKETS) return count;
  throw invalid("max-buckets", text, `Argument max-buckets must be an integer between 1 and ${MAX_BUCKETS}`);
}

// The digit leaves room for tokens of another form.
const tokenOf = (name: string): string => Buffer.from(`1${name}`, "utf8").toString("base64url");

function nameOfToken(token: string | undefined): string {
  if (token === undefined) return "";
  const text = Buffer.from(token, "base64url").toString("utf8");
  if (text.length > 1 && tokenOf(text.slice(1)) === token) return text.slice(1);
  throw invalid("continuation-token", token, "The continuation token provided is incorrect");
}

interface Wanted {
  prefix: string;
  region: string | undefined;
  ownerId: string | undefined;
  after: string;
  /** One more than the page has, to know whether another follows. */
  limit: number;
}

async function find(ctx: RequestContext, wanted: Wanted): Promise<Bucket[]> {
  const found: Bucket[] = [];
  let { after } = wanted;
  while (found.length < wanted.limit) {
    const limit = Math.min(PAGE, wanted.limit);
    const owner = wanted.ownerId === undefined ? {} : { ownerId: wanted.ownerId };
    const page = await ctx.engine.buckets(ctx, { prefix: wanted.prefix, after, limit, ...owner });
    for (const bucket of page) if (wanted.region === undefined || bucket.region === wanted.region) found.push(bucket);
    const last = page.at(-1);
    if (!last || page.length < limit) break;
    after = last.name;
  }
  return found;
}

function ownerXml(caller: Exclude<Caller, { kind: "anonymous" }>): string {
  const name = caller.kind === "user" && caller.user.displayName !== "" ? caller.user.displayName : caller.name;
  return element("Owner", leaf("ID", caller.id), leaf("DisplayName", name));
}

function bucketXml(bucket: Bucket): string {
  return element(
    "Bucket",
    leaf("Name", bucket.name),
    timeLeaf("CreationDate", bucket.createdMs),
    leaf("BucketRegion", bucket.region),
  );
}

/** S3 API reference, ListBuckets. */
export const listBuckets: Operation = {
  name: "ListBuckets",
  scope: "service",
  async run(ctx) {
    await ctx.allow({ action: "s3:ListAllMyBuckets" });
    const { caller } = ctx;
    if (caller.kind === "anonymous") throw new S3Error("AccessDenied");
    const { query } = ctx.request;
    const max = maxBuckets(query.get("max-buckets"));
    const prefix = query.get("prefix");
    const found = await find(ctx, {
      prefix: prefix ?? "",
      region: query.get("bucket-region"),
      ownerId: ownerToList(ctx),
      after: nameOfToken(query.get("continuation-token")),
      limit: max + 1,
    });
    const page = found.slice(0, max);
    const last = found.length > max ? page.at(-1) : undefined;
    const body = xmlDocument(
      "ListAllMyBucketsResult",
      ownerXml(caller),
      element("Buckets", ...page.map(bucketXml)),
      optionalLeaf("ContinuationToken", last && tokenOf(last.name)),
      optionalLeaf("Prefix", prefix),
    );
    return { status: 200, headers: { "content-type": XML_CONTENT_TYPE }, body };
  },
};
