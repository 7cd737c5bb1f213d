import { describe, expect, it } from "vitest";
import { parseFio } from "../bench/fio.js";
import {
  formatNumber,
  formatTarget,
  jsonReport,
  markdownTable,
  type Report,
  type Section,
  summary,
  textTable,
  verdict,
} from "../bench/report.js";

const section: Section = {
  title: "Copies",
  columns: ["ms", "how"],
  rows: [
    { name: "kept", cells: [12.345, "a|b"], target: { value: 12.345, atMost: 50, unit: " ms" } },
    { name: "missed", cells: [1234.5, ""], target: { value: 0.97, atLeast: 0.98 } },
    { name: "told", cells: [0.00123, ""] },
  ],
  notes: ["a note"],
};
const report: Report = { benchmark: "copies", sections: [section], measurements: { "copy, ms": [1, 2] } };

describe("verdict", () => {
  it.each([
    [{ value: 0.98, atLeast: 0.98 }, "pass"],
    [{ value: 0.979, atLeast: 0.98 }, "MISS"],
    [{ value: 2, atMost: 2 }, "pass"],
    [{ value: 2.001, atMost: 2 }, "MISS"],
    [{ value: 5, atLeast: 1, atMost: 4 }, "MISS"],
  ] as const)("of %j is %s", (target, expected) => {
    expect(verdict(target)).toBe(expected);
  });

  it("of what is no number: RangeError, since every comparison with it is false", () => {
    expect(() => verdict({ value: Number.NaN, atMost: 1 })).toThrow(RangeError);
    expect(() => verdict({ value: Number.POSITIVE_INFINITY, atMost: 1 })).toThrow(RangeError);
  });
});

describe("the table", () => {
  it.each([
    [0, "0"],
    [0.00123, "0.00123"],
    [1.2345, "1.23"],
    [12.345, "12.3"],
    [99.96, "100"],
    [1234.5, "1235"],
    [123456.7, "123457"],
  ])("writes %d as %s", (value, expected) => {
    expect(formatNumber(value)).toBe(expected);
  });

  it("writes bounds with their unit", () => {
    expect(formatTarget({ value: 1, atMost: 50, unit: " ms" })).toBe("<= 50 ms");
    expect(formatTarget({ value: 1, atLeast: 0.98 })).toBe(">= 0.98");
  });

  it("has target and result beside the rows that are judged, and the notes under them", () => {
    expect(textTable(section)).toBe(
      [
        "Copies",
        "         ms        how   target     result",
        "kept     12.3      a|b   <= 50 ms   pass (12.345)",
        "missed   1235            >= 0.98    MISS (0.970)",
        "told     0.00123",
        "  a note",
        "",
      ].join("\n"),
    );
  });

  it("has no such columns when nothing is judged", () => {
    const [, , told] = section.rows;
    expect(textTable({ ...section, rows: told ? [told] : [], notes: [] })).not.toContain("target");
  });

  it("is a Markdown table with every bar in a cell escaped", () => {
    expect(markdownTable(section)).toContain("| kept | 12.3 | a\\|b | <= 50 ms | pass (12.345) |\n");
    const [header, rule] = markdownTable(section).split("\n").slice(2);
    expect(header?.split("|").length).toBe(rule?.split("|").length);
  });
});

describe("the report", () => {
  it("counts the targets that are kept", () => {
    expect(summary([report, report])).toBe("2 of 4 targets are kept");
    expect(summary([])).toBe("0 of 0 targets are kept");
  });

  it("is JSON with where it ran, each verdict, and every measurement", () => {
    const parsed = JSON.parse(jsonReport({ kernel: "linux 6" }, [report]));
    expect(parsed).toMatchObject({ kernel: "linux 6", summary: "1 of 2 targets are kept" });
    const [benchmark] = parsed.benchmarks;
    expect(benchmark.measurements).toEqual({ "copy, ms": [1, 2] });
    expect(benchmark.sections[0].rows.map((row: { result?: string }) => row.result)).toEqual([
      "pass",
      "MISS",
      undefined,
    ]);
  });
});

describe("fio's answer", () => {
  const job = (error: number, read: object, write: object) => JSON.stringify({ jobs: [{ error, read, write }] });
  const none = { io_bytes: 0, iops: 0, bw_bytes: 0 };
  const some = { io_bytes: 4096, iops: 12.5, bw_bytes: 3 * 1024 ** 2 };

  it("is read for the direction that was asked for, past warnings in front of it", () => {
    const answer = `fio: a warning\n${job(0, none, some)}`;
    expect(parseFio(answer, "write")).toEqual({ operationsPerSecond: 12.5, mebibytesPerSecond: 3 });
  });

  it("without any work in that direction, or with an error, is no measurement", () => {
    expect(() => parseFio(job(0, none, some), "read")).toThrow("measured no read");
    expect(() => parseFio(job(5, some, none), "read")).toThrow("measured no read");
  });
});
