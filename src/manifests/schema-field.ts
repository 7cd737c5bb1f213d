import { z } from "zod";
import { messageOf } from "../errors/storage-error.js";
import { nearest } from "../model/nearest.js";
import { parseSize } from "../model/size.js";

/**
 * An object of which every field is known: `shape` is what Granary reads, `ignored` what Kubernetes knows and storage
 * does not need, `refused` what would change the outcome if it were left out silently, with the reason.
 */
export function strict<S extends z.core.$ZodLooseShape>(
  shape: S,
  ignored: readonly string[] = [],
  refused: Record<string, string> = {},
) {
  const known = [...Object.keys(shape), ...ignored];
  const dropped = Object.fromEntries(
    ignored.map((key) => [
      key,
      z
        .unknown()
        .transform(() => undefined)
        .optional(),
    ]),
  );
  const object = z.strictObject({ ...shape, ...dropped } as S, {
    error: (issue) => {
      if (issue.code !== "unrecognized_keys") return undefined;
      const [key = ""] = issue.keys as string[];
      if (Object.hasOwn(refused, key)) return `${key}: ${refused[key]}`;
      return `unknown field ${JSON.stringify(key.slice(0, 100))}; did you mean ${JSON.stringify(nearest(key, known))}?`;
    },
  });
  return object.transform((value) => {
    for (const key of ignored) delete (value as Record<string, unknown>)[key];
    return value;
  });
}

// RFC 1123, as Kubernetes' validation has it.
const LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN = new RegExp(`^${LABEL}(\\.${LABEL})*$`);
const QUALIFIED = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;

const text = (what: string) =>
  z.string({
    error: (issue) =>
      issue.code === "invalid_type" && ["number", "boolean"].includes(typeof issue.input)
        ? `must be ${what}; write it in quotes: ${JSON.stringify(String(issue.input))}`
        : `must be ${what}`,
  });

export const name = text("a name")
  .max(253, "a name has at most 253 characters")
  .regex(SUBDOMAIN, "a name holds lower case letters, digits, '-' and '.', and begins and ends with a letter or digit");

export const label = text("a name")
  .max(63, "must have at most 63 characters")
  .regex(
    new RegExp(`^${LABEL}$`),
    "must hold lower case letters, digits and '-' only, and begin and end with a letter or digit",
  );

export const string = text("a text").max(4096, "has at most 4096 characters");
export const requiredString = string.min(1, "must not be empty");
export const flag = z.boolean({ error: "must be true or false" });
/** Free-form texts by key: parameters, volume attributes. CSI caps such maps at 4 KiB; the server says so itself. */
export const parameters = z.record(z.string(), text("a text"), { error: "must be a map of texts" });

function qualifiedKey(key: string): boolean {
  const slash = key.lastIndexOf("/");
  const prefix = slash < 0 ? undefined : key.slice(0, slash);
  const last = key.slice(slash + 1);
  const prefixIsGood = prefix === undefined || (prefix.length <= 253 && SUBDOMAIN.test(prefix));
  return prefixIsGood && last.length <= 63 && QUALIFIED.test(last);
}

function keyed(value: z.ZodType<string>) {
  return z.record(z.string(), value, { error: "must be a map of texts" }).superRefine((map, context) => {
    for (const key of Object.keys(map)) {
      if (!qualifiedKey(key))
        context.addIssue({
          code: "custom",
          path: [key.slice(0, 100)],
          message:
            "is not a key: letters, digits, '-', '_' and '.', at most 63 of them, with an optional DNS name and '/' before",
        });
    }
  });
}

export const labels = keyed(
  text("a text").refine(
    (value) => value === "" || (value.length <= 63 && QUALIFIED.test(value)),
    "a label's value holds letters, digits, '-', '_' and '.', at most 63 of them",
  ),
);

const MAX_ANNOTATIONS_BYTES = 256 * 1024;
export const annotations = keyed(text("a text")).refine(
  (map) =>
    Object.entries(map).reduce((sum, [key, value]) => sum + key.length + value.length, 0) <= MAX_ANNOTATIONS_BYTES,
  "annotations hold at most 256 KiB together",
);

/** A quantity, kept as it was written. A JSON number is one too. */
export const quantity = z
  .union([z.string(), z.number()], { error: "must be a size, for example 10Gi" })
  .superRefine((value, context) => {
    try {
      if (parseSize("size", String(value)) === 0n) context.addIssue({ code: "custom", message: "must be more than 0" });
    } catch (error) {
      context.addIssue({ code: "custom", message: messageOf(error).replace(/^size: /, "") });
    }
  })
  .transform(String);

export function oneOf<const T extends readonly string[]>(...values: T) {
  return z.enum(values, {
    error: (issue) =>
      typeof issue.input === "string"
        ? `${JSON.stringify(issue.input.slice(0, 100))} is none of ${values.join(", ")}; did you mean ${nearest(issue.input, values)}?`
        : `must be one of ${values.join(", ")}`,
  });
}

export const accessModes = z
  .array(oneOf("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"), { error: "must be a list" })
  .min(1, "must name at least one access mode, for example ReadWriteOnce")
  .transform((modes) => [...new Set(modes)])
  .refine(
    (modes) => !modes.includes("ReadWriteOncePod") || modes.length === 1,
    "ReadWriteOncePod stands alone, without other access modes",
  );

/** An absolute path without "..", as kubelet wants a mount's place in the container. */
export const containerPath = requiredString.refine(
  (path) => path.startsWith("/") && !path.split("/").includes("..") && !path.includes("\0") && !path.includes(":"),
  "must be an absolute path without '..' and ':'",
);

export const subPath = string.refine(
  (path) => !path.startsWith("/") && !path.split("/").includes("..") && !path.includes("\0"),
  "must be a relative path without '..'",
);
