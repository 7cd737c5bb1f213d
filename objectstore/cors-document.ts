import { z } from "zod";
import { S3Error } from "../src/errors/s3-error.js";
import { childrenOf, expectChildren, malformedXml, parseDocument, textOf, type XmlElement } from "./xml/read.js";
import { element, leaf, optionalLeaf, xmlDocument } from "./xml/write.js";

/** User guide, "Elements of a CORS configuration": at most 100 rules, in 64 KB. */
const MAX_RULES = 100;
export const MAX_CORS_BYTES = 65_536;
const MAX_ID_LENGTH = 255;

export const CORS_METHODS = ["GET", "PUT", "HEAD", "POST", "DELETE"] as const;
export type CorsMethod = (typeof CORS_METHODS)[number];

export const CORS_RULES = z.array(
  z.strictObject({
    id: z.string().optional(),
    allowedHeaders: z.array(z.string()),
    allowedMethods: z.array(z.enum(CORS_METHODS)),
    allowedOrigins: z.array(z.string()),
    exposeHeaders: z.array(z.string()),
    maxAgeSeconds: z.int().nonnegative().optional(),
  }),
);

/** One rule as it is stored and shown. */
export type CorsRule = z.infer<typeof CORS_RULES>[number];

export function isCorsMethod(text: string): text is CorsMethod {
  return CORS_METHODS.some((method) => method === text);
}

const invalid = (message: string) => new S3Error("InvalidRequest", message);

function wildcards(text: string): number {
  return text.split("*").length - 1;
}

function patterns(rule: XmlElement, name: "AllowedOrigin" | "AllowedHeader"): string[] {
  return childrenOf(rule, name).map(({ text }) => {
    if (wildcards(text) > 1) throw invalid(`${name} "${text}" can not have more than one wildcard.`);
    return text;
  });
}

function methods(rule: XmlElement): CorsMethod[] {
  return childrenOf(rule, "AllowedMethod").map(({ text }) => {
    if (!isCorsMethod(text)) {
      throw invalid(`Found unsupported HTTP method in CORS config. Unsupported method is ${text}`);
    }
    return text;
  });
}

/** A header name that a response may carry: RFC 9110's token, so no line end reaches a header. */
export const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/;

function exposed(rule: XmlElement): string[] {
  return childrenOf(rule, "ExposeHeader").map(({ text }) => {
    if (text.includes("*")) {
      throw invalid(`ExposeHeader "${text}" contains wildcard. We currently do not support wildcard for ExposeHeader.`);
    }
    if (!HEADER_NAME.test(text)) throw invalid(`ExposeHeader "${text}" contains invalid character.`);
    return text;
  });
}

function maxAge(rule: XmlElement): number | undefined {
  const text = textOf(rule, "MaxAgeSeconds")?.trim();
  if (text === undefined) return undefined;
  if (!/^\d{1,10}$/.test(text) || Number(text) > 2 ** 31 - 1) throw malformedXml("MaxAgeSeconds is a whole number");
  return Number(text);
}

function ruleFrom(rule: XmlElement): CorsRule {
  expectChildren(rule, ["ID", "MaxAgeSeconds"], ["AllowedHeader", "AllowedMethod", "AllowedOrigin", "ExposeHeader"]);
  const id = textOf(rule, "ID");
  if (id !== undefined && id.length > MAX_ID_LENGTH)
    throw invalid(`A CORS rule's ID has at most ${MAX_ID_LENGTH} characters`);
  const seconds = maxAge(rule);
  const parsed = {
    ...(id === undefined ? {} : { id }),
    allowedHeaders: patterns(rule, "AllowedHeader"),
    allowedMethods: methods(rule),
    allowedOrigins: patterns(rule, "AllowedOrigin"),
    exposeHeaders: exposed(rule),
    ...(seconds === undefined ? {} : { maxAgeSeconds: seconds }),
  };
  if (parsed.allowedMethods.length === 0) throw malformedXml("a CORSRule needs an AllowedMethod");
  if (parsed.allowedOrigins.length === 0) throw malformedXml("a CORSRule needs an AllowedOrigin");
  return parsed;
}

/**
 * A `CORSConfiguration` document.
 *
 * @throws S3Error MalformedXML, InvalidRequest
 */
export function corsFromXml(text: string): CorsRule[] {
  const root = parseDocument(text, "CORSConfiguration");
  expectChildren(root, [], ["CORSRule"]);
  if (root.children.length === 0) throw malformedXml("CORSConfiguration needs a CORSRule");
  if (root.children.length > MAX_RULES) {
    throw invalid(`The number of CORS rules should not exceed allowed limit of ${MAX_RULES} rules.`);
  }
  return root.children.map(ruleFrom);
}

export function corsXml(rules: readonly CorsRule[]): string {
  const all = rules.map((rule) =>
    element(
      "CORSRule",
      optionalLeaf("ID", rule.id),
      ...rule.allowedHeaders.map((text) => leaf("AllowedHeader", text)),
      ...rule.allowedMethods.map((text) => leaf("AllowedMethod", text)),
      ...rule.allowedOrigins.map((text) => leaf("AllowedOrigin", text)),
      ...rule.exposeHeaders.map((text) => leaf("ExposeHeader", text)),
      optionalLeaf("MaxAgeSeconds", rule.maxAgeSeconds),
    ),
  );
  return xmlDocument("CORSConfiguration", ...all);
}
