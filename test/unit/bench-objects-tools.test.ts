import { describe, expect, it } from "vitest";
import { GRANARY } from "../bench/objects/contenders.js";
import { contendersSection } from "../bench/objects/contenders-section.js";
import { countSyncs } from "../bench/objects/durability.js";
import { whyNot } from "../bench/objects/tools.js";
import { parseWarp } from "../bench/objects/warp.js";

describe("calls in strace's lines", () => {
  it.each([
    ["12 fdatasync(31)                     = 0", { file: 1 }],
    ["12 fsync(31)                     = -1 EIO (Input/output error)", {}],
    ["12 fdatasync(31 <unfinished ...>\n13 fsync(3 <unfinished ...>\n12 <... fdatasync resumed>) = 0", { file: 1 }],
    ["7  msync(0x7f, 4096, MS_SYNC)      = 0\n7 msync(0x7f, 4096, MS_ASYNC) = 0", { file: 1 }],
    ["12 sync()                               = 0\n12 syncfs(3) = 0", { whole: 2 }],
    ['12 openat(AT_FDCWD, ""..., O_WRONLY|O_CREAT|O_DSYNC, 0666) = 9', { syncedOpens: 1 }],
    ['12 openat(AT_FDCWD, ""..., O_RDONLY|O_CLOEXEC) = 9', {}],
    ['12 renameat(AT_FDCWD, ""..., AT_FDCWD, ""...) = 0\n12 unlinkat(AT_FDCWD, ""..., 0) = 0', { names: 2 }],
    ["12 +++ exited with 0 +++\n13 --- SIGURG {si_signo=SIGURG} ---", {}],
  ])("%j", (trace, expected) => {
    expect(countSyncs(trace)).toEqual({ file: 0, whole: 0, syncedOpens: 0, names: 0, ...expected });
  });
});

describe("what warp prints", () => {
  const output = [
    "Operation: PUT",
    "* Average: 10.06 MiB/s, 1030.01 obj/s",
    "",
    "Report: GET. Concurrency: 32. Ran: 9s",
    " * Average: 94.10 MiB/s, 9866.97 obj/s",
  ].join("\n");

  it("the average of the operation that is asked for", () => {
    expect(parseWarp(output, "PUT")).toEqual({ mibPerSecond: 10.06, objectsPerSecond: 1030.01 });
    expect(parseWarp(output, "GET")).toEqual({ mibPerSecond: 94.1, objectsPerSecond: 9866.97 });
  });

  it("no average is an error", () => {
    expect(() => parseWarp("warp: <ERROR> no host", "GET")).toThrow(/no average of GET/);
  });
});

describe("a peer that cannot be had", () => {
  it("go's last words say why, and not where it asked", () => {
    const stderr =
      "go: downloading example.com/x v1.0.0\ngo: example.com/a@latest: reading https://proxy.example/a/@v/list: 404 Not Found.\n";
    expect(whyNot("example.com/a@latest", stderr)).toBe(
      "go install example.com/a@latest failed: go: example.com/a@latest: reading (its address) 404 Not Found",
    );
    expect(whyNot("example.com/a@latest", "")).toMatch(/no reason given/);
  });

  it("is in the table, with the reason", () => {
    const section = contendersSection([{ contender: GRANARY, installed: { absent: "no Go toolchain" } }], ["x: y"]);
    expect(section.rows[0]?.cells).toEqual(["not measured", "yes", "no Go toolchain"]);
    expect(section.notes).toEqual(["Went wrong: x: y"]);
  });
});
