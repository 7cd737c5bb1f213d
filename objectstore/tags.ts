import { z } from "zod";
import { S3Error } from "../src/errors/s3-error.js";
import type { Pairs } from "../src/model/object.js";
import { bucketDocument } from "./bucket-config.js";
import { childOf, expectChildren, malformedXml, parseDocument, textOf, type XmlElement } from "./xml/read.js";
import { element, leaf, xmlDocument } from "./xml/write.js";

/** How many tags each may have, and what S3 says when there are more (user guide, "Categorizing your objects using tags"). */
const LIMITS = {
  object: {
    count: 10,
    message: "Object tags cannot be greater than 10",
    system: "Your TagKey cannot be prefixed with aws:",
  },
  bucket: {
    count: 50,
    message: "Bucket tag count cannot be greater than 50",
    system: "System tags cannot be added/updated by requester",
  },
} as const;

export type Tagged = keyof typeof LIMITS;

/** Room for fifty tags of the longest keys and values, each character an entity. */
export const MAX_TAGGING_BYTES = 256 * 1024;

/** In UTF-16 units, as S3 counts. */
const MAX_KEY_LENGTH = 128;
const MAX_VALUE_LENGTH = 256;
/** Letters, blanks and digits of any script, and `+ - = . _ : / @`. */
const ALLOWED = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;
const SYSTEM_PREFIX = /^aws:/i;

function invalidTag(message: string, key: string, value?: string): S3Error {
  return new S3Error("InvalidTag", message, {
    fields: { TagKey: key, ...(value === undefined ? {} : { TagValue: value }) },
  });
}

/**
 * Holds tags to S3's rules, whichever way they came.
 *
 * @throws S3Error InvalidTag, BadRequest
 */
export function checkTags(tags: Pairs, tagged: Tagged): void {
  if (tags.length > LIMITS[tagged].count) throw new S3Error("BadRequest", LIMITS[tagged].message);
  const keys = new Set<string>();
  for (const [key, value] of tags) {
    if (key.length === 0 || key.length > MAX_KEY_LENGTH || !ALLOWED.test(key)) {
      throw invalidTag("The TagKey you have provided is invalid", key);
    }
    if (value.length > MAX_VALUE_LENGTH || !ALLOWED.test(value)) {
      throw invalidTag("The TagValue you have provided is invalid", key, value);
    }
    if (SYSTEM_PREFIX.test(key)) throw invalidTag(LIMITS[tagged].system, key);
    if (keys.has(key)) throw invalidTag("Cannot provide multiple Tags with the same key", key);
    keys.add(key);
  }
}

function badHeader(header: string): S3Error {
  return new S3Error(
    "InvalidArgument",
    "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.",
    { fields: { ArgumentName: "x-amz-tagging", ArgumentValue: header } },
  );
}

/** Undefined where the percent escapes or the UTF-8 are wrong. */
function decodeQueryText(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return undefined;
  }
}

/**
 * The tags of an `x-amz-tagging` header: `k=v&k2=v2`, each part percent encoded; a key alone has the value "".
 *
 * @param header header bytes as latin1, as they came
 * @throws S3Error InvalidArgument, InvalidTag, BadRequest
 */
export function tagsFromHeader(header: string): Pairs {
  const text = Buffer.from(header, "latin1").toString("utf8");
  if (text.includes("\ufffd")) throw badHeader(header);
  const tags: [string, string][] = [];
  const keys = new Set<string>();
  for (const pair of text.split("&")) {
    if (pair === "") continue;
    const equals = pair.indexOf("=");
    const key = decodeQueryText(equals < 0 ? pair : pair.slice(0, equals));
    const value = equals < 0 ? "" : decodeQueryText(pair.slice(equals + 1));
    if (key === undefined || value === undefined || key === "" || keys.has(key)) throw badHeader(header);
    keys.add(key);
    tags.push([key, value]);
  }
  checkTags(tags, "object");
  return tags;
}

/**
 * The tags of a `Tagging` document.
 *
 * @throws S3Error MalformedXML, InvalidTag, BadRequest
 */
export function tagsFromXml(text: string, tagged: Tagged): Pairs {
  const tagging = parseDocument(text, "Tagging");
  expectChildren(tagging, ["TagSet"]);
  const set = childOf(tagging, "TagSet");
  if (!set) throw malformedXml("Tagging has no TagSet");
  return tagsOfSet(set, tagged);
}

/**
 * The tags of an element that holds `Tag` elements alone.
 *
 * @throws S3Error MalformedXML, InvalidTag, BadRequest
 */
export function tagsOfSet(set: XmlElement, tagged: Tagged): Pairs {
  expectChildren(set, [], ["Tag"]);
  const tags = set.children.map(tagOf);
  checkTags(tags, tagged);
  return tags;
}

/** @throws S3Error MalformedXML */
export function tagOf(tag: XmlElement): [key: string, value: string] {
  expectChildren(tag, ["Key", "Value"]);
  const key = textOf(tag, "Key");
  const value = textOf(tag, "Value");
  if (key === undefined || value === undefined) throw malformedXml("a Tag needs a Key and a Value");
  return [key, value];
}

const STORED_TAGS = z.array(z.tuple([z.string(), z.string()]));

/** The bucket's own tags, or undefined where it has none. */
export const bucketTagsOf = bucketDocument<Pairs>("tagging", STORED_TAGS);

/** The form for `config.tagging`. */
export function storedTags(tags: Pairs): string | null {
  return tags.length === 0 ? null : JSON.stringify(tags);
}

/** A `Tagging` document. */
export function taggingXml(tags: Pairs): string {
  const set = tags.map(([key, value]) => element("Tag", leaf("Key", key), leaf("Value", value)));
  return xmlDocument("Tagging", element("TagSet", ...set));
}
