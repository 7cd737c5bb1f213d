import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { randomAccessKey, randomCanonicalId, randomSecretKey } from "../../objectstore/random-keys.js";
import { rootCredentials, rootCredentialsFile } from "../../objectstore/root-credentials.js";
import { Secret } from "../../src/model/secret.js";
import { openLog } from "../../src/runtime/log.js";

let dataDir = "";
let lines: string[] = [];
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "granary-root-"));
  lines = [];
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const log = openLog({
  level: "trace",
  role: "objectstore",
  readable: false,
  destination: { write: (text: string) => void lines.push(text) },
});
const open = (configured?: { accessKey: string; secretKey: Secret }) => rootCredentials({ dataDir, configured, log });
const stored = () => readFileSync(rootCredentialsFile(dataDir), "utf8");

describe("root credentials", () => {
  it("first start: a random pair in a file that is its owner's alone; later starts have the same", async () => {
    const first = await open();
    expect(first.accessKey).toMatch(/^[A-Z0-9]{20}$/);
    expect(first.secretKey.reveal()).toMatch(/^[A-Za-z0-9]{40}$/);
    expect(JSON.parse(stored())).toEqual({ accessKey: first.accessKey, secretKey: first.secretKey.reveal() });
    expect(statSync(rootCredentialsFile(dataDir)).mode & 0o777).toBe(0o600);
    expect(statSync(join(dataDir, "objects")).mode & 0o777).toBe(0o700);
    const second = await open();
    expect([second.accessKey, second.secretKey.reveal()]).toEqual([first.accessKey, first.secretKey.reveal()]);
  });

  it("configured ones win, and leave what was stored alone", async () => {
    const own = { accessKey: "root", secretKey: new Secret("hunter2hunter2") };
    expect(await open(own)).toBe(own);
    expect(() => stored()).toThrow();
    const random = await open();
    expect(await open(own)).toBe(own);
    expect((await open()).accessKey).toBe(random.accessKey);
  });

  it("a file that others can read is closed to them, with a warning", async () => {
    await open();
    chmodSync(rootCredentialsFile(dataDir), 0o644);
    await open();
    expect(statSync(rootCredentialsFile(dataDir)).mode & 0o777).toBe(0o600);
    expect(lines.join("")).toContain("could be read by other users");
  });

  it.each([
    "",
    "{",
    "null",
    "{}",
    '{"accessKey":"AK","secretKey":"hunter2hunter2"}',
    '{"accessKey":"root","secretKey":"x"}',
  ])("a file that holds %j: refused, says what to do, and no new pair is made over it", async (text) => {
    await open();
    writeFileSync(rootCredentialsFile(dataDir), text);
    await expect(open()).rejects.toMatchObject({
      code: "failed-precondition",
      message: expect.stringMatching(/root-credentials\.json does not hold .*; restore it, or move it away/),
    });
    expect(stored()).toBe(text);
    await open().catch((error: Error) => expect(error.message).not.toContain("hunter2"));
  });
});

describe("class of hole: default or derived secrets", () => {
  it("two stores, and two users, never have the same pair", async () => {
    const pairs = new Set<string>();
    for (let i = 0; i < 20; i++) {
      rmSync(join(dataDir, "objects"), { recursive: true, force: true });
      pairs.add((await open()).secretKey.reveal());
    }
    expect(pairs.size).toBe(20);
    const made = Array.from({ length: 1000 }, () => [randomAccessKey(), randomSecretKey(), randomCanonicalId()]).flat();
    expect(new Set(made).size).toBe(3000);
  });
});

describe("class of hole: secrets in logs", () => {
  it("the log says where the root secret lies, at every level, and never what it is", async () => {
    const { secretKey } = await open();
    await open();
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line).toContain(rootCredentialsFile(dataDir));
    expect(lines.join("")).not.toContain(secretKey.reveal());
  });
});
