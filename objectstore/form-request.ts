import { S3Error } from "../src/errors/s3-error.js";
import type { FormValues } from "./auth/post-policy.js";
import type { Form } from "./body/form.js";
import { tagsFromXml } from "./tags.js";
import type { S3Request } from "./types.js";

/** Headers of the HTTP request that say who sends it and from where; all that PUT's headers say is in the fields. */
const KEPT = ["host", "user-agent", "referer", "origin", "x-forwarded-for"];
/** Fields that are PUT's headers by their own name; so is what begins with `x-amz-`, those of the signature excepted. */
const HEADERS: ReadonlySet<string> = new Set([
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "content-md5",
  "content-type",
  "expires",
]);
const OF_SIGNATURE: ReadonlySet<string> = new Set([
  "x-amz-algorithm",
  "x-amz-credential",
  "x-amz-date",
  "x-amz-security-token",
  "x-amz-signature",
]);
// biome-ignore lint/suspicious/noTemplateCurlyInString: S3's own placeholder
const FILENAME = "${filename}";

/**
 * A form's fields by lower-case name. `${filename}` stands for the file's name in any of them but those that are signed.
 *
 * @throws S3Error InvalidArgument where a name comes twice: a condition would hold for the one and not for the other
 */
export function formValues(form: Form): FormValues {
  const filename = form.file?.filename ?? "";
  const values = new Map<string, string>();
  for (const { name, value } of form.fields) {
    const field = name.toLowerCase();
    if (values.has(field)) {
      throw new S3Error("InvalidArgument", `The form has the field '${name}' more than once`, {
        fields: { ArgumentName: name },
      });
    }
    const fixed = field === "policy" || OF_SIGNATURE.has(field);
    values.set(field, fixed ? value : value.replaceAll(FILENAME, () => filename));
  }
  return values;
}

/**
 * The request that the form stands for: a write of the key, with the fields as its headers.
 *
 * @throws S3Error MalformedXML, InvalidTag of the field `tagging`
 */
export function formRequest(request: S3Request, key: string, values: FormValues): S3Request {
  const headers = new Map<string, string>();
  for (const name of KEPT) {
    const value = request.headers.get(name);
    if (value !== undefined) headers.set(name, value);
  }
  for (const [name, value] of values) {
    const isHeader = HEADERS.has(name) || (name.startsWith("x-amz-") && !OF_SIGNATURE.has(name));
    // Bytes, as a header's would come.
    if (isHeader) headers.set(name, Buffer.from(value, "utf8").toString("latin1"));
  }
  const acl = values.get("acl");
  if (acl !== undefined) headers.set("x-amz-acl", acl);
  const tagging = values.get("tagging");
  if (tagging !== undefined) headers.set("x-amz-tagging", taggingHeader(tagging));
  return { ...request, key, headers };
}

function taggingHeader(xml: string): string {
  const pairs = tagsFromXml(xml, "object").map((pair) => pair.map(encodeURIComponent).join("="));
  return pairs.join("&");
}
