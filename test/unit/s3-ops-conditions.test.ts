import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  checkSourceConditions,
  etagListHas,
  rangeStillApplies,
  readConditions,
} from "../../objectstore/http/conditions.js";
import { httpDate, isoTime, parseHttpDate } from "../../objectstore/http/dates.js";

const AT = Date.UTC(1994, 10, 6, 8, 49, 37);
const object = { etag: "abc", lastModifiedMs: AT + 123 };
const SAME = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT";
const AFTER = "Sun, 06 Nov 1994 08:49:38 GMT";

const read = (headers: Record<string, string>) => readConditions(new Map(Object.entries(headers)), object);

describe("HTTP dates", () => {
  it.each([SAME, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"])("%s: the same time", (text) => {
    expect(parseHttpDate(text)).toBe(AT);
  });

  it.each([
    "",
    "1994-11-06T08:49:37Z",
    "Sun, 31 Feb 1994 08:49:37 GMT",
    "Sun, 06 Foo 1994 08:49:37 GMT",
    "Sun, 06 Nov 1994 25:49:37 GMT",
    "tomorrow",
  ])("%j: none", (text) => {
    expect(parseHttpDate(text)).toBeUndefined();
  });

  it("a two-digit year more than 50 years ahead: the past one", () => {
    const now = Date.UTC(2026, 0, 1);
    expect(parseHttpDate("Sunday, 06-Nov-77 08:49:37 GMT", now)).toBe(Date.UTC(1977, 10, 6, 8, 49, 37));
    expect(parseHttpDate("Sunday, 06-Nov-70 08:49:37 GMT", now)).toBe(Date.UTC(2070, 10, 6, 8, 49, 37));
  });

  it("written: the whole second", () => {
    expect(httpDate(AT + 999)).toBe(SAME);
  });
});

describe("dates that are written", () => {
  it("any time: as JavaScript writes it", () => {
    fc.assert(
      fc.property(fc.date({ noInvalidDate: true }), (date) => {
        expect(httpDate(date.getTime())).toBe(date.toUTCString());
        expect(isoTime(date.getTime())).toBe(date.toISOString());
      }),
    );
  });

  it("around midnight: the day changes with it", () => {
    for (const ms of [-1, 0, 1, 86_399_999, 86_400_000, AT]) {
      expect([httpDate(ms), isoTime(ms)]).toEqual([new Date(ms).toUTCString(), new Date(ms).toISOString()]);
    }
  });
});

describe("entity tags", () => {
  it.each(['"abc"', "abc", 'W/"abc"', "*", '"x", "abc"', '"x",abc'])("%s names it", (list) => {
    expect(etagListHas(list, "abc")).toBe(true);
  });

  it.each(['"abd"', "", '"ABC"', '"x", "y"'])("%j does not", (list) => {
    expect(etagListHas(list, "abc")).toBe(false);
  });
});

describe("rule 16: conditional reads", () => {
  it("none: proceeds", () => expect(read({})).toBeUndefined());
  it("If-Match of its ETag: proceeds", () => expect(read({ "if-match": '"abc"' })).toBeUndefined());
  it("If-Match of another: 412", () => expect(read({ "if-match": '"x"' })).toEqual({ failed: "If-Match" }));
  it("If-None-Match of its ETag: 304", () => expect(read({ "if-none-match": '"abc"' })).toBe("not-modified"));
  it("If-None-Match of another: proceeds", () => expect(read({ "if-none-match": '"x"' })).toBeUndefined());
  it("If-Modified-Since before: proceeds", () => expect(read({ "if-modified-since": BEFORE })).toBeUndefined());
  it("If-Modified-Since the same second: 304", () => expect(read({ "if-modified-since": SAME })).toBe("not-modified"));
  it("If-Modified-Since after: 304", () => expect(read({ "if-modified-since": AFTER })).toBe("not-modified"));
  it("If-Modified-Since of a time to come: ignored", () =>
    expect(read({ "if-modified-since": "Sun, 06 Nov 2994 08:49:37 GMT" })).toBeUndefined());
  it("If-Modified-Since no date: ignored", () => expect(read({ "if-modified-since": "soon" })).toBeUndefined());
  it("If-Unmodified-Since the same second: proceeds", () =>
    expect(read({ "if-unmodified-since": SAME })).toBeUndefined());
  it("If-Unmodified-Since before: 412", () =>
    expect(read({ "if-unmodified-since": BEFORE })).toEqual({ failed: "If-Unmodified-Since" }));
  it("If-Match holds over a failing If-Unmodified-Since", () =>
    expect(read({ "if-match": "abc", "if-unmodified-since": BEFORE })).toBeUndefined());
  it("If-None-Match of another holds over a failing If-Modified-Since", () =>
    expect(read({ "if-none-match": '"x"', "if-modified-since": AFTER })).toBeUndefined());
  it("If-None-Match of its ETag decides over a holding If-Modified-Since", () =>
    expect(read({ "if-none-match": "abc", "if-modified-since": BEFORE })).toBe("not-modified"));
  it("If-Match fails before If-None-Match is asked: 412", () =>
    expect(read({ "if-match": "x", "if-none-match": "abc" })).toEqual({ failed: "If-Match" }));
});

describe("conditions on a copy's source", () => {
  const check = (headers: Record<string, string>) => () =>
    checkSourceConditions(
      new Map(Object.entries(headers).map(([name, value]) => [`x-amz-copy-source-${name}`, value])),
      "x-amz-copy-source-",
      object,
    );

  it.each([
    {},
    { "if-match": "abc" },
    { "if-match": '"abc"', "if-unmodified-since": BEFORE },
    { "if-none-match": "x", "if-modified-since": AFTER },
    { "if-modified-since": BEFORE },
    { "if-unmodified-since": AFTER },
  ])("%j: hold", (headers) => expect(check(headers)).not.toThrow());

  it.each([
    { "if-match": "x" },
    { "if-none-match": "abc" },
    { "if-none-match": "abc", "if-modified-since": BEFORE },
    { "if-modified-since": SAME },
    { "if-unmodified-since": BEFORE },
  ])("%j: 412", (headers) => expect(check(headers)).toThrow(expect.objectContaining({ code: "PreconditionFailed" })));

  it("a date that is none: 400, since ignoring it would copy", () => {
    expect(check({ "if-unmodified-since": "soon" })).toThrow(expect.objectContaining({ code: "InvalidArgument" }));
  });
});

describe("If-Range", () => {
  const applies = (value: string) => rangeStillApplies(new Map([["if-range", value]]), object);

  it.each(['"abc"', SAME])("%s: the range applies", (value) => expect(applies(value)).toBe(true));
  it.each(['"x"', 'W/"abc"', BEFORE, AFTER])("%s: the whole object", (value) => expect(applies(value)).toBe(false));
});
