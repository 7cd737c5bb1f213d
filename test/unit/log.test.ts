import { describe, expect, it } from "vitest";
import { openLog, readableLine } from "../../src/runtime/log.js";

function logged(readable: boolean, level = "info") {
  const lines: string[] = [];
  const destination = { write: (text: string) => void lines.push(text) };
  return { lines, log: openLog({ level, role: "up", readable, destination }) };
}

describe("the log as JSON lines", () => {
  it("one object a line, with role, level, time and the fields", () => {
    const { lines, log } = logged(false);
    log.child({ requestId: "r-1" }).warn({ durationMs: 12 }, "refused");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^\{.*\}\n$/);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({
      ...{ level: 40, role: "up", requestId: "r-1", durationMs: 12, msg: "refused" },
      time: expect.any(Number) as number,
    });
  });

  it("keeps what is below the level out", () => {
    const { lines, log } = logged(false, "warn");
    log.info("ready on unix:///a.sock");
    log.warn("low");
    expect(lines).toHaveLength(1);
  });
});

describe.each([false, true])("secrets, readable: %s", (readable) => {
  it("never appear, wherever a request is logged", () => {
    const { lines, log } = logged(readable);
    const request = { volume_id: "v", secrets: { key: "hunter2" } };
    log.info(request, "top");
    log.info({ request }, "one down");
    log.info({ call: { request } }, "two down");
    log.info({ volume_capability: { mount: { mount_flags: ["password=hunter2"] } } }, "flags");
    log.child({ secrets: { key: "hunter2" } }).info("bound");
    expect(lines).toHaveLength(5);
    expect(lines.join("")).not.toContain("hunter2");
    expect(lines.filter((line) => line.includes("[secret]"))).toHaveLength(5);
  });
});

describe("the log on a terminal", () => {
  const at = (fields: object) =>
    readableLine(JSON.stringify({ time: new Date(2026, 0, 2, 3, 4, 5).getTime(), level: 30, role: "up", ...fields }));

  it("HH:MM:SS level message key=value", () => {
    expect(at({ msg: "done", durationMs: 3, method: "/csi.v1.Node/NodeStageVolume" })).toBe(
      "03:04:05 info  done durationMs=3 method=/csi.v1.Node/NodeStageVolume",
    );
  });

  it("quotes a value that would not be seen as one, or would break the line", () => {
    expect(at({ msg: "m", a: "two words", b: "", c: 'say "x"', d: "a=b", e: "line\nbreak", f: "\u001b[31m" })).toBe(
      '03:04:05 info  m a="two words" b="" c="say \\"x\\"" d="a=b" e="line\\nbreak" f="\\u001b[31m"',
    );
  });

  it("writes objects as JSON, and names each level", () => {
    expect(at({ msg: "m", level: 40, pool: { dir: "/p" } })).toBe('03:04:05 warn  m pool={"dir":"/p"}');
    expect(at({ msg: "m", level: 50 })).toBe("03:04:05 error m");
    expect(at({ level: 60, key: 1 })).toBe("03:04:05 fatal key=1");
  });

  it("an error's stack follows on its own lines", () => {
    const { lines, log } = logged(true);
    log.error({ err: new Error("broken"), code: "INTERNAL" }, "failed");
    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d error failed code=INTERNAL\nError: broken\n {4}at /);
  });

  it("keeps the words that others look for: ready on", () => {
    const { lines, log } = logged(true);
    log.info("ready on unix:///run/granary/csi.sock");
    expect(lines[0]).toMatch(/ready on unix:\/\/\/run\/granary\/csi\.sock\n$/);
  });
});
