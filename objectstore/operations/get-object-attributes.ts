import type { OpenObject } from "../../src/engines/object-engine.js";
import { S3Error } from "../../src/errors/s3-error.js";
import type { ObjectPart, ObjectVersion } from "../../src/model/object.js";
import { checksumLeaf, typedChecksumLeaves } from "../checksum-headers.js";
import { httpDate } from "../http/dates.js";
import { pageLimit, partMarker } from "../listing/parameters.js";
import { missingFor, versionNeed } from "../object-needs.js";
import type { Operation, RequestContext } from "../types.js";
import { refuseUnsupported } from "../unsupported.js";
import { hasVersions, requestedVersion } from "../version-id.js";
import { element, leaf, XML_CONTENT_TYPE, xmlDocument } from "../xml/write.js";

const HEADER = "x-amz-object-attributes";
const ATTRIBUTES = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"] as const;
type Attribute = (typeof ATTRIBUTES)[number];

/** API reference, GetObjectAttributes. */
export const getObjectAttributes: Operation = {
  name: "GetObjectAttributes",
  scope: "object",
  async run(ctx) {
    const { bucket, key, request } = ctx;
    const versionId = requestedVersion(request);
    let opened: OpenObject;
    try {
      opened = await ctx.engine.open(ctx, { bucket: bucket.name, key, versionId });
    } catch (error) {
      throw await missingFor(ctx, bucket, key, versionId, error);
    }
    try {
      const { version } = opened;
      const kind = versionId === undefined ? "" : "Version";
      await ctx.allow(versionNeed(`s3:GetObject${kind}`, bucket, key, versionId, version));
      await ctx.allow(versionNeed(`s3:GetObject${kind}Attributes`, bucket, key, versionId, version));
      refuseUnsupported(request.headers);
      const asked = askedAttributes(request.headers.get(HEADER));
      const parts = asked.has("ObjectParts") && version.partsCount > 0 ? await opened.parts() : [];
      const headers: Record<string, string> = {
        "content-type": XML_CONTENT_TYPE,
        "last-modified": httpDate(version.lastModifiedMs),
      };
      if (hasVersions(bucket)) headers["x-amz-version-id"] = version.versionId;
      return { status: 200, headers, body: attributesXml(ctx, version, asked, parts) };
    } finally {
      opened.close();
    }
  },
};

/** @throws S3Error InvalidRequest where there is none, InvalidArgument for one that S3 does not have */
function askedAttributes(header: string | undefined): ReadonlySet<Attribute> {
  const names = (header ?? "")
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  if (names.length === 0) {
    throw new S3Error(
      "InvalidRequest",
      `The ${HEADER} header specifying the attributes to be retrieved is either missing or empty`,
    );
  }
  const asked = new Set<Attribute>();
  for (const name of names) {
    const known = ATTRIBUTES.find((attribute) => attribute === name);
    if (known === undefined) {
      throw new S3Error("InvalidArgument", "Invalid attribute name specified.", {
        fields: { ArgumentName: HEADER, ArgumentValue: name },
      });
    }
    asked.add(known);
  }
  return asked;
}

function attributesXml(
  ctx: RequestContext,
  version: ObjectVersion,
  asked: ReadonlySet<Attribute>,
  parts: readonly ObjectPart[],
): string {
  // Of a composite checksum this answer has the value alone, without the count of parts.
  const whole = version.checksum && { ...version.checksum, value: version.checksum.value.replace(/-\d+$/, "") };
  const checksum = typedChecksumLeaves(whole);
  return xmlDocument(
    "GetObjectAttributesResponse",
    // Without quotes, in this answer alone.
    asked.has("ETag") ? leaf("ETag", version.etag) : "",
    asked.has("Checksum") && checksum !== "" ? element("Checksum", checksum) : "",
    parts.length > 0 ? partsXml(ctx.request.headers, version, parts) : "",
    asked.has("StorageClass") ? leaf("StorageClass", version.storageClass) : "",
    asked.has("ObjectSize") ? leaf("ObjectSize", version.sizeBytes) : "",
  );
}

function partsXml(headers: ReadonlyMap<string, string>, version: ObjectVersion, parts: readonly ObjectPart[]): string {
  const limit = pageLimit(headers, "x-amz-max-parts");
  const marker = partMarker(headers, "x-amz-part-number-marker");
  const count = leaf("PartsCount", parts.length);
  // Only the parts of a composite checksum have one that S3 keeps; without one it lists none.
  if (version.checksum?.type !== "COMPOSITE") return element("ObjectParts", count);
  const rest = parts.filter((part) => part.number > marker);
  const page = rest.slice(0, limit);
  const truncated = rest.length > page.length;
  return element(
    "ObjectParts",
    leaf("IsTruncated", truncated),
    leaf("MaxParts", limit),
    leaf("NextPartNumberMarker", page.at(-1)?.number ?? 0),
    leaf("PartNumberMarker", marker),
    ...page.map((part) =>
      element("Part", checksumLeaf(part.checksum), leaf("PartNumber", part.number), leaf("Size", part.sizeBytes)),
    ),
    count,
  );
}
