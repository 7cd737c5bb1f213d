import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import ts from "typescript";
import { describe, expect, it } from "vitest";

const root = path.resolve(import.meta.dirname, "../..");
const PRODUCTION = ["src", "controller", "node", "objectstore"];

interface Source {
  file: string;
  text: string;
  tree: ts.SourceFile;
}

function load(folders: readonly string[]): Source[] {
  return folders
    .filter((folder) => existsSync(path.join(root, folder)))
    .flatMap((folder) =>
      readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" }).map((name) =>
        path.join(folder, name),
      ),
    )
    .filter((file) => /\.(ts|mjs)$/.test(file) && !file.endsWith(".d.ts"))
    .sort()
    .map((file) => {
      const text = readFileSync(path.join(root, file), "utf8");
      return { file, text, tree: ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true) };
    });
}

const production = load(PRODUCTION);
const tests = load(["test"]);

function nodesOf(tree: ts.SourceFile): ts.Node[] {
  const found: ts.Node[] = [];
  const visit = (node: ts.Node): void => {
    found.push(node);
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found;
}

/** Every module a file names: imports, re-exports, `import()` calls and `import("x")` types. */
function importsOf(tree: ts.SourceFile): string[] {
  return nodesOf(tree).flatMap((node) => {
    let name: ts.Node | undefined;
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) name = node.moduleSpecifier;
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      name = node.arguments[0];
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) name = node.argument.literal;
    return name && ts.isStringLiteralLike(name) ? [name.text] : [];
  });
}

function where(source: Source, node: ts.Node): string {
  return `${source.file}:${source.tree.getLineAndCharacterOfPosition(node.getStart(source.tree)).line + 1}`;
}

// DESIGN.md, "The house": a layer imports itself and what ranks lower.
const RANK: Record<string, number> = {
  main: 6,
  cli: 5,
  controller: 4,
  node: 4,
  objectstore: 4,
  manifests: 4,
  engines: 3,
  os: 2,
  config: 2,
  runtime: 1,
  model: 0,
  errors: 0,
  proto: 0,
};

function layerOf(file: string): string {
  const [top = "", second = ""] = file.split(path.sep);
  return top === "src" ? second.replace(/\.(ts|js)$/, "") : top;
}

function importFault(fromFile: string, toFile: string): string | undefined {
  const from = layerOf(fromFile);
  const to = layerOf(toFile);
  const fromRank = RANK[from];
  const toRank = RANK[to];
  if (fromRank === undefined) return `${fromFile}: ${from} is no layer of DESIGN.md`;
  if (toRank === undefined) return `${fromFile} imports ${toFile}, which is in no layer of DESIGN.md`;
  if (from === to) return undefined;
  // Over gRPC only, as Kubernetes reaches them.
  if (from === "manifests" && to === "engines") return `${fromFile} imports ${toFile}: manifests speak gRPC only`;
  const bothAtTheFloor = fromRank === 0 && toRank === 0 && to !== "proto";
  if (toRank < fromRank || bothAtTheFloor) return undefined;
  return `${fromFile} imports ${toFile}: ${from} may not import ${to}`;
}

describe("the house", () => {
  it("has sources to check", () => {
    expect(production.length).toBeGreaterThan(5);
    expect(tests.length).toBeGreaterThan(2);
  });

  it("imports run one way", () => {
    const faults = production.flatMap((source) =>
      importsOf(source.tree)
        .filter((name) => name.startsWith("."))
        .map((name) => importFault(source.file, path.join(path.dirname(source.file), name)))
        .filter((fault) => fault !== undefined),
    );
    expect(faults).toEqual([]);
  });

  it.each([
    ["controller/a.ts", "node/b.js"],
    ["node/a.ts", "objectstore/b.js"],
    ["src/manifests/a.ts", "controller/b.js"],
    ["src/manifests/a.ts", "src/engines/b.js"],
    ["src/model/a.ts", "src/runtime/b.js"],
    ["src/os/a.ts", "src/engines/b.js"],
    ["src/engines/a.ts", "test/b.js"],
  ])("the import rule itself refuses %s to %s", (from, to) => {
    expect(importFault(from, to)).toBeDefined();
  });

  it("no file is over 500 lines", () => {
    const long = [...production, ...tests].filter((source) => source.text.split("\n").length > 501);
    expect(long.map((source) => source.file)).toEqual([]);
  });

  it("no test is skipped, focused or left to do", () => {
    const modifiers = new Set(["skip", "only", "todo", "skipIf", "runIf", "fails"]);
    const found = tests.flatMap((source) =>
      nodesOf(source.tree)
        .filter((node) => ts.isPropertyAccessExpression(node) && modifiers.has(node.name.text))
        .filter((node) => /^(it|test|describe|suite)\b/.test(node.getText(source.tree)))
        .map((node) => where(source, node)),
    );
    expect(found).toEqual([]);
  });

  it("nothing is typed any", () => {
    const found = [...production, ...tests].flatMap((source) =>
      nodesOf(source.tree)
        .filter((node) => node.kind === ts.SyntaxKind.AnyKeyword)
        .map((node) => where(source, node)),
    );
    expect(found).toEqual([]);
  });

  it("only src/os/exec.ts starts processes", () => {
    const found = production.filter((source) =>
      importsOf(source.tree).some((name) => /^(node:)?child_process$/.test(name)),
    );
    expect(found.map((source) => source.file)).toEqual(["src/os/exec.ts"]);
  });

  it("only src/config and src/os/exec.ts read the environment", () => {
    const found = production
      .filter((source) => nodesOf(source.tree).some((node) => node.getText(source.tree) === "process.env"))
      .map((source) => source.file)
      .filter((file) => !file.startsWith("src/config/") && file !== "src/os/exec.ts");
    expect(found).toEqual([]);
  });

  it("no file or folder is called utils, helpers, manager or common", () => {
    const forbidden = /(^|[-.])(utils?|helpers?|managers?|common)([-.]|$)/;
    const found = [...production, ...tests].filter(({ file }) =>
      file.split(path.sep).some((part) => forbidden.test(part)),
    );
    expect(found.map((source) => source.file)).toEqual([]);
  });

  it("package-lock.json names no registry host", () => {
    const lock = readFileSync(path.join(root, "package-lock.json"), "utf8");
    expect(lock).not.toContain('"resolved"');
  });
});
