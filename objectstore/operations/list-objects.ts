import { contentsXml, lastOf } from "../listing/entries.js";
import { listPage, xmlAnswer } from "../listing/page.js";
import { checkOptionalAttributes, keyEncoding, listConditions, pageLimit } from "../listing/parameters.js";
import { peopleXml } from "../listing/people.js";
import type { Operation } from "../types.js";
import { leaf, xmlDocument } from "../xml/write.js";

/** API reference, ListObjects: the first version, with markers that are keys. */
export const listObjects: Operation = {
  name: "ListObjects",
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
    const marker = query.get("marker") ?? "";

    const page = await listPage(ctx, { prefix, delimiter, after: marker, limit });

    // Without a delimiter a client goes on from the last key itself; with one, the page may end in a common prefix.
    const next = page.truncated && delimiter !== "" ? encoding.text(lastOf(page.items)) : undefined;
    const people = peopleXml(ctx);
    return xmlAnswer(
      xmlDocument(
        "ListBucketResult",
        leaf("Name", bucket.name),
        `<Prefix>${encoding.text(prefix)}</Prefix>`,
        `<Marker>${encoding.text(marker)}</Marker>`,
        next === undefined ? "" : `<NextMarker>${next}</NextMarker>`,
        leaf("MaxKeys", limit),
        delimiter === "" ? "" : `<Delimiter>${encoding.text(delimiter)}</Delimiter>`,
        encoding.element,
        leaf("IsTruncated", page.truncated),
        contentsXml(page.items, encoding, (id) => people("Owner", id)),
      ),
    );
  },
};
