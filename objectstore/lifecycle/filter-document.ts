import { S3Error } from "../../src/errors/s3-error.js";
import { MAX_OBJECT_BYTES } from "../../src/model/object.js";
import { checkTags, tagOf } from "../tags.js";
import { childrenOf, expectChildren, malformedXml, textOf, type XmlElement } from "../xml/read.js";
import { element, leaf, optionalLeaf } from "../xml/write.js";
import type { LifecycleFilter, LifecycleRule } from "./rule.js";

const CONDITIONS = ["Prefix", "ObjectSizeGreaterThan", "ObjectSizeLessThan"] as const;

/** @throws S3Error MalformedXML where it is no whole number */
export function wholeNumber(text: string, name: string): number {
  if (!/^[+-]?\d{1,15}$/.test(text.trim())) throw malformedXml(`${name} is a whole number`);
  return Number(text);
}

function size(parent: XmlElement, name: "ObjectSizeGreaterThan" | "ObjectSizeLessThan", least: number) {
  const text = textOf(parent, name);
  if (text === undefined) return undefined;
  const bytes = wholeNumber(text, name);
  if (bytes < least || bytes > MAX_OBJECT_BYTES) {
    throw new S3Error("InvalidRequest", `'${name}' must be between ${least} and ${MAX_OBJECT_BYTES}`);
  }
  return bytes;
}

function conditionsOf(parent: XmlElement): LifecycleFilter {
  const prefix = textOf(parent, "Prefix");
  const sizeGreaterThan = size(parent, "ObjectSizeGreaterThan", 0);
  const sizeLessThan = size(parent, "ObjectSizeLessThan", 1);
  if (sizeGreaterThan !== undefined && sizeLessThan !== undefined && sizeGreaterThan >= sizeLessThan) {
    throw new S3Error("InvalidRequest", "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'");
  }
  const tags = childrenOf(parent, "Tag").map(tagOf);
  if (new Set(tags.map(([key]) => key)).size < tags.length) {
    throw new S3Error("InvalidRequest", "Duplicate Tag Keys are not allowed.");
  }
  checkTags(tags, "object");
  return {
    ...(prefix === undefined ? {} : { prefix }),
    tags,
    ...(sizeGreaterThan === undefined ? {} : { sizeGreaterThan }),
    ...(sizeLessThan === undefined ? {} : { sizeLessThan }),
  };
}

/**
 * What a rule is for (API reference, LifecycleRuleFilter): nothing or one condition in Filter, two at least in its And; or
 * a Prefix without Filter, as the first version of the API had it.
 *
 * @throws S3Error MalformedXML, InvalidRequest, InvalidTag
 */
export function filterOf(rule: XmlElement): Pick<LifecycleRule, "form" | "filter"> {
  const filter = childrenOf(rule, "Filter")[0];
  const prefix = textOf(rule, "Prefix");
  if (prefix !== undefined) {
    if (filter) throw malformedXml("a Rule has either Prefix or Filter");
    return { form: "prefix", filter: { prefix, tags: [] } };
  }
  if (!filter) throw malformedXml("a Rule needs a Filter");
  expectChildren(filter, [...CONDITIONS, "Tag", "And"]);
  if (filter.children.length > 1) throw malformedXml("a Filter of several conditions needs And");
  const and = childrenOf(filter, "And")[0];
  if (!and) return { form: "filter", filter: conditionsOf(filter) };
  expectChildren(and, CONDITIONS, ["Tag"]);
  if (and.children.length < 2) throw malformedXml("And needs two conditions");
  return { form: "and", filter: conditionsOf(and) };
}

export function filterXml({ form, filter }: LifecycleRule): string {
  if (form === "prefix") return leaf("Prefix", filter.prefix ?? "");
  const conditions = [
    optionalLeaf("Prefix", filter.prefix),
    ...filter.tags.map(([key, value]) => element("Tag", leaf("Key", key), leaf("Value", value))),
    optionalLeaf("ObjectSizeGreaterThan", filter.sizeGreaterThan),
    optionalLeaf("ObjectSizeLessThan", filter.sizeLessThan),
  ];
  return element("Filter", form === "and" ? element("And", ...conditions) : conditions.join(""));
}
