import { loadSync, type MessageTypeDefinition } from "@grpc/proto-loader";
import { protoFile } from "../../src/runtime/grpc.js";

interface Field {
  name: string;
  label: string;
  type: string;
  typeName: string;
}
interface Descriptor {
  name: string;
  field: Field[];
  nestedType: Descriptor[];
  options: { mapEntry?: boolean } | null;
}

/** One request field with one bad value in it. */
export interface Mutation {
  /** As CSI writes it: `volume_capability.mount.mount_flags`. */
  field: string;
  path: readonly (string | number)[];
  /** What is wrong, for a failure's text. */
  what: string;
  value: unknown;
}

const HUGE = "x".repeat(70_000);
const ODD_TEXTS: [string, string][] = [
  ["empty", ""],
  ["70 KB", HUGE],
  ["10 KB of Unicode", "🗄".repeat(2500)],
  ["a path out of the pool", "../../../../etc/passwd"],
  ["a NUL", "a\u0000b"],
  ["a new line", "a\nb"],
  ["an escape sequence", "\u001b[2Jx"],
  ["of our shape with a new line", `g1-l-v-${"0".repeat(24)}\n`],
  ["of our shape in capitals", `G1-L-V-${"A".repeat(24)}`],
  ["another kind of ours", `g1-l-g-${"0".repeat(24)}`],
  ["a property of every object", "__proto__"],
];

/** Bad paths; those that are absolute stay under `dir`. */
const oddPaths = (dir: string): [string, string][] => [
  ["empty", ""],
  ["relative", "some/path"],
  ["with ..", `${dir}/a/../b`],
  ["a NUL", `${dir}/a\u0000b`],
  ["one name of 70 KB", `${dir}/${HUGE}`],
  ["too long in all", `${dir}${"/abcdefg".repeat(1000)}`],
  ["below a file", `${dir}/pool.img/x`],
  ["with a new line", `${dir}/new\nline`],
  ["Unicode", `${dir}/データ`],
];

const INT64: [string, string][] = [
  ["-1", "-1"],
  ["the smallest int64", "-9223372036854775808"],
  ["the largest int64", "9223372036854775807"],
];
const INT32: [string, number][] = [
  ["-1", -1],
  ["the smallest int32", -2147483648],
  ["the largest int32", 2147483647],
];

const definition = loadSync(protoFile("csi.proto"), { keepCase: true });

/** Every field of the request message, however deep, with every bad value of its type. `dir` holds the paths. */
export function mutationsOf(service: string, method: string, dir: string): Mutation[] {
  const found = (
    definition[`csi.v1.${service}`] as Record<string, { requestType: MessageTypeDefinition<object, object> }>
  )[method];
  if (!found) throw new Error(`proto/csi.proto has no ${service}.${method}`);
  return walk(found.requestType.type as unknown as Descriptor, [], dir);
}

function walk(message: Descriptor, path: readonly (string | number)[], dir: string): Mutation[] {
  return message.field.flatMap((field) => mutateField(message, field, path, dir));
}

function mutateField(message: Descriptor, field: Field, path: readonly (string | number)[], dir: string): Mutation[] {
  const own = [...path, field.name];
  const nested = message.nestedType.find((one) => one.name === field.typeName);
  const at = (what: string, value: unknown, where = own): Mutation => ({
    field: where.filter((part) => typeof part === "string").join("."),
    path: where,
    what,
    value,
  });
  if (nested?.options?.mapEntry) {
    return [
      ...ODD_TEXTS.map(([what, text]) => at(`key: ${what}`, { [text]: "x" })),
      ...ODD_TEXTS.map(([what, text]) => at(`value: ${what}`, { key: text })),
    ];
  }
  const repeated = field.label === "LABEL_REPEATED";
  const where = repeated ? [...own, 0] : own;
  const absent = [at("absent", repeated ? [] : null)];
  switch (field.type) {
    case "TYPE_STRING":
      return [
        ...(repeated ? absent : []),
        ...(field.name.endsWith("_path") ? oddPaths(dir) : ODD_TEXTS).map(([what, text]) => at(what, text, where)),
      ];
    case "TYPE_INT64":
      return INT64.map(([what, value]) => at(what, value, where));
    case "TYPE_INT32":
      return INT32.map(([what, value]) => at(what, value, where));
    case "TYPE_ENUM":
      return [at("zero", 0, where), at("unknown", 99, where)];
    case "TYPE_MESSAGE": {
      const type = nested ?? (definition[`csi.v1.${field.typeName}`] as { type?: unknown } | undefined)?.type;
      return type ? [...absent, at("empty", {}, where), ...walk(type as Descriptor, where, dir)] : absent;
    }
    default:
      return [];
  }
}

/** The request with the mutation's value at its path; what lies on the way is made if it is not there. */
export function mutate(request: object, { path, value }: Mutation): object {
  const result = structuredClone(request) as Record<string | number, unknown>;
  let at = result;
  for (const [i, part] of path.entries()) {
    if (i === path.length - 1) {
      at[part] = value;
    } else {
      at[part] ??= typeof path[i + 1] === "number" ? [] : {};
      at = at[part] as Record<string | number, unknown>;
    }
  }
  return result;
}
