import { contentsXml, lastOf } from "../listing/entries.js";
import { listPage, xmlAnswer } from "../listing/page.js";
import { checkOptionalAttributes, keyEncoding, listConditions, pageLimit } from "../listing/parameters.js";
import { peopleXml } from "../listing/people.js";
import { afterToken, continuationToken } from "../listing/token.js";
import type { Operation } from "../types.js";
import { leaf, optionalLeaf, xmlDocument } from "../xml/write.js";

/** API reference, ListObjectsV2. */
export const listObjectsV2: Operation = {
  name: "ListObjectsV2",
  scope: "bucket",
  async run(ctx) {
    const { bucket } = ctx;
    const { query, headers } = ctx.request;
    await ctx.allow({ action: "s3:ListBucket", bucket, conditions: listConditions(query) });
    const limit = pageLimit(query, "max-keys");
    const encoding = keyEncoding(query);
    checkOptionalAttributes(headers);
    const prefix = query.get("prefix") ?? "";
    const delimiter = query.get("delimiter") ?? "";
    const token = query.get("continuation-token");
    const startAfter = query.get("start-after");
    const after = token === undefined ? (startAfter ?? "") : afterToken(token);

    const page = await listPage(ctx, { prefix, delimiter, after, limit });

    const people = peopleXml(ctx);
    const owner = query.get("fetch-owner") === "true" ? (id: string) => people("Owner", id) : undefined;
    return xmlAnswer(
      xmlDocument(
        "ListBucketResult",
        leaf("Name", bucket.name),
        `<Prefix>${encoding.text(prefix)}</Prefix>`,
        startAfter === undefined || token !== undefined ? "" : `<StartAfter>${encoding.text(startAfter)}</StartAfter>`,
        optionalLeaf("ContinuationToken", token),
        page.truncated ? leaf("NextContinuationToken", continuationToken(lastOf(page.items))) : "",
        leaf("KeyCount", page.items.length),
        leaf("MaxKeys", limit),
        delimiter === "" ? "" : `<Delimiter>${encoding.text(delimiter)}</Delimiter>`,
        encoding.element,
        leaf("IsTruncated", page.truncated),
        contentsXml(page.items, encoding, owner),
      ),
    );
  },
};
