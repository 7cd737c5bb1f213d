import { readFileSync } from "node:fs";
import { join } from "node:path";
// Loading it registers google/protobuf/descriptor.proto with protobufjs, which csi.proto imports.
import "@grpc/proto-loader";
import protobuf from "protobufjs";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");
const PROTO = readFileSync(join(root, "proto/csi.proto"), "utf8");
const SPEC = JSON.parse(readFileSync(join(import.meta.dirname, "csi-v1.12.json"), "utf8")) as Described;

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
interface Described {
  nested: Record<string, Json>;
}

/** protobufjs's own description of a .proto text: what a service, a field, an option is called and numbered there. */
function describeProto(text: string): Described {
  const parsed = protobuf.parse(text, new protobuf.Root(), { keepCase: true });
  for (const name of parsed.imports ?? []) {
    const common = protobuf.common.get(name);
    if (!common) throw new Error(`${name} is imported by csi.proto and not known to protobufjs`);
    parsed.root.addJSON(common.nested ?? {});
  }
  parsed.root.resolveAll();
  return JSON.parse(JSON.stringify(parsed.root.toJSON())) as Described;
}

/** `google.protobuf.BoolValue` and `.google.protobuf.BoolValue` name one type; a field without a rule is singular. */
const plainTypeName = (path: string, value: string) => (path.endsWith(".type") ? value.replace(/^\./, "") : value);

/** Every leaf of a description as `path = value`; an empty message is a leaf too. */
function leavesOf(value: Json, path: string, into = new Map<string, string>()): Map<string, string> {
  if (typeof value === "object" && value !== null) {
    const entries = Array.isArray(value) ? value.map((part, i) => [String(i), part] as const) : Object.entries(value);
    if (entries.length === 0) into.set(path, "{}");
    for (const [key, part] of entries) leavesOf(part, `${path}.${key}`, into);
  } else into.set(path, typeof value === "string" ? plainTypeName(path, value) : String(value));
  return into;
}

/** Only what the contract itself declares: google's own types come with protobufjs's version. */
const contractOf = (described: Described) => leavesOf(described.nested.csi ?? null, "csi");

/** Every difference between two descriptions, in both directions. */
function differences(ours: Described, spec: Described): string[] {
  const [left, right] = [contractOf(ours), contractOf(spec)];
  const found: string[] = [];
  for (const [path, value] of right) {
    const mine = left.get(path);
    if (mine === undefined) found.push(`missing: ${path} = ${value}`);
    else if (mine !== value) found.push(`differs: ${path} = ${mine}, not ${value}`);
  }
  for (const [path, value] of left) if (!right.has(path)) found.push(`extra: ${path} = ${value}`);
  return found;
}

const count = (leaves: Map<string, string>, shape: RegExp) =>
  [...leaves.keys()].filter((path) => shape.test(path)).length;

describe("proto/csi.proto", () => {
  it("is CSI v1.12: every service, rpc, message, field, number, label, oneof, enum value and option, and no more", () => {
    expect(differences(describeProto(PROTO), SPEC)).toEqual([]);
  });

  it("the comparison sees the whole contract", () => {
    const leaves = contractOf(SPEC);
    expect(count(leaves, /\.methods\.\w+\.requestType$/)).toBe(32);
    expect(count(leaves, /\.methods\.\w+\.responseStream$/)).toBe(2);
    expect(count(leaves, /\.fields\.\w+\.id$/)).toBeGreaterThan(180);
    expect(count(leaves, /\.values\.\w+$/)).toBe(47);
    expect(count(leaves, /\.options\.\(csi_secret\)$/)).toBe(19);
    expect(count(leaves, /\(alpha_\w+\)$/)).toBeGreaterThan(20);
  });

  const mutations: [name: string, from: string | RegExp, to: string, expected: RegExp][] = [
    ["a field is dropped", "  bool readonly = 6;\n", "", /missing: .*NodePublishVolumeRequest\.fields\.readonly\.id/],
    [
      "a number is changed",
      "string vendor_version = 2",
      "string vendor_version = 4",
      /differs: .*vendor_version\.id = 4/,
    ],
    ["a type is changed", "int64 limit_bytes", "int32 limit_bytes", /differs: .*limit_bytes\.type = int32, not int64/],
    ["a field is renamed", "string fs_type", "string fsType", /missing: .*fs_type\.id/],
    [
      "a label is dropped",
      "repeated string mount_flags",
      "string mount_flags",
      /missing: .*mount_flags\.rule = repeated/,
    ],
    ["a label is added", "string node_id = 1;", "repeated string node_id = 1;", /extra: .*node_id\.rule = repeated/],
    ["a map's key changes", "map<string, string> segments", "map<int32, string> segments", /segments\.keyType = int32/],
    [
      "a field leaves its oneof",
      /oneof access_type \{\n(.*)\n(.*)\n {2}\}/,
      "$1\n oneof access_type { $2 }",
      /oneof\.1/,
    ],
    [
      "a secret flag is dropped",
      "secrets = 5 [(csi_secret) = true]",
      "secrets = 5",
      /missing: .*\(csi_secret\) = true/,
    ],
    [
      "an alpha flag is added",
      "string name = 1;",
      "string name = 1 [(alpha_field) = true];",
      /extra: .*\(alpha_field\)/,
    ],
    ["a method loses alpha", "    option (alpha_method) = true;\n", "", /missing: .*GetSnapshot\.options/],
    ["a service loses alpha", "  option (alpha_service) = true;\n", "", /missing: .*SnapshotMetadata\.options/],
    [
      "a message loses alpha",
      "  option (alpha_message) = true;\n",
      "",
      /missing: .*ControllerGetVolumeRequest\.options/,
    ],
    [
      "an enum value loses alpha",
      "GET_SNAPSHOT = 15 [(alpha_enum_value) = true]",
      "GET_SNAPSHOT = 15",
      /valuesOptions/,
    ],
    ["an enum value is renumbered", "MODIFY_VOLUME = 14", "MODIFY_VOLUME = 16", /values\.MODIFY_VOLUME = 16, not 14/],
    ["an enum value is added", "INODES = 2;", "INODES = 2; BLOCKS = 3;", /extra: .*values\.BLOCKS = 3/],
    [
      "a stream is dropped",
      "returns (stream GetMetadataDelta",
      "returns (GetMetadataDelta",
      /missing: .*responseStream/,
    ],
    ["a stream is added", "rpc Probe(Probe", "rpc Probe(stream Probe", /extra: .*Probe\.requestStream = true/],
    ["a request is swapped", "rpc Probe(ProbeRequest)", "rpc Probe(GetPluginInfoRequest)", /Probe\.requestType/],
    [
      "an rpc is added",
      /(service Node \{\n)/,
      "$1  rpc More(ProbeRequest) returns (ProbeResponse);\n",
      /extra: .*More/,
    ],
    ["a message is added", /$/, "message More {}\n", /extra: csi\.nested\.v1\.nested\.More/],
    ["an extension is renumbered", "bool csi_secret = 1059", "bool csi_secret = 1058", /csi_secret\.id = 1058/],
    ["the package is renamed", "package csi.v1;", "package csi.v0;", /missing: csi\.nested\.v1/],
    ["the go package is changed", "spec/lib/go/csi", "spec/lib/go/other", /go_package/],
  ];
  it.each(mutations)("reports it when %s", (_name, from, to, expected) => {
    const mutated = PROTO.replace(from, to);
    expect(mutated).not.toBe(PROTO);
    expect(differences(describeProto(mutated), SPEC).join("\n")).toMatch(expected);
  });

  it("every leaf of the contract is compared: a change of any one is reported", () => {
    const contract = contractOf(SPEC);
    for (const path of contract.keys()) {
      const changed = structuredClone(SPEC);
      const at = path.split(/\.(?![^(]*\))/);
      let parent: Json = changed.nested;
      for (const key of at.slice(0, -1)) parent = (parent as Record<string, Json>)[key] ?? null;
      (parent as Record<string, Json>)[at.at(-1) ?? ""] = "changed";
      expect(differences(changed, SPEC), path).not.toEqual([]);
    }
  });

  it("each service, rpc and message says what it is, in a comment above it", () => {
    const lines = PROTO.split("\n");
    const bare = lines.flatMap((line, i) =>
      /^\s*(service|rpc|message|enum) /.test(line) && !lines[i - 1]?.trim().startsWith("//") ? [line.trim()] : [],
    );
    expect(bare).toEqual([]);
  });
});
