import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import { authenticateForm } from "../../objectstore/auth/post-form.js";
import { checkPostPolicy, parsePostPolicy } from "../../objectstore/auth/post-policy.js";
import { formRequest, formValues } from "../../objectstore/form-request.js";
import type { Authentication } from "../../objectstore/types.js";
import { S3Error } from "../../src/errors/s3-error.js";
import { AWS_KEY, AWS_NOW_MS, AWS_SECRET, authorityOf, chunkKey, requestOf, userOf } from "./s3-requests.js";

type Conditions = readonly unknown[];

const base64 = (document: unknown): string =>
  Buffer.from(typeof document === "string" ? document : JSON.stringify(document)).toString("base64");
const policyOf = (conditions: Conditions, expiration = "2013-05-24T01:00:00.000Z"): string =>
  base64({ expiration, conditions });

function failure(run: () => unknown): [string, string] {
  try {
    run();
  } catch (error) {
    if (error instanceof S3Error) return [error.code, error.message];
    throw error;
  }
  return ["taken", ""];
}

const check = (conditions: Conditions, values: Record<string, string>, nowMs = AWS_NOW_MS): [string, string] =>
  failure(() =>
    checkPostPolicy(parsePostPolicy(policyOf(conditions)), new Map(Object.entries(values)), "bucket", nowMs),
  );

describe("POST policies", () => {
  const BUCKET = { bucket: "bucket" };

  it("every field under a condition that holds: taken", () => {
    const conditions = [BUCKET, { acl: "private" }, ["starts-with", "$key", "user/"], ["eq", "$x-amz-meta-a", "b"]];
    expect(check(conditions, { key: "user/x", acl: "private", "x-amz-meta-a": "b" })[0]).toBe("taken");
  });

  it("POST policy unenforced: a field without a condition: AccessDenied, and which", () => {
    expect(check([BUCKET, { key: "a" }], { key: "a", acl: "public-read", "x-amz-meta-b": "" })).toEqual([
      "AccessDenied",
      "Invalid according to Policy: Extra input fields: acl, x-amz-meta-b",
    ]);
    expect(check([{ key: "a" }], { key: "a" })).toEqual([
      "AccessDenied",
      "Invalid according to Policy: Extra input fields: bucket",
    ]);
    expect(check([], { key: "a" })[0]).toBe("AccessDenied");
  });

  it("file, policy, x-amz-signature and x-ignore-*: need none; no other of the signature's", () => {
    const values = { key: "a", policy: "p", "x-amz-signature": "s", "x-ignore-b": "c", file: "f" };
    expect(check([BUCKET, { key: "a" }], values)[0]).toBe("taken");
    for (const name of [
      "x-amz-credential",
      "x-amz-algorithm",
      "x-amz-date",
      "x-amz-security-token",
      "success_action_redirect",
    ]) {
      expect(check([BUCKET, { key: "a" }], { ...values, [name]: "x" })[0]).toBe("AccessDenied");
    }
  });

  it.each<[unknown, Record<string, string>, string]>([
    [["eq", "$key", "a"], { key: "ab" }, '["eq","$key","a"]'],
    [{ key: "a" }, { key: "b" }, '["eq","$key","a"]'],
    [{ Key: "a" }, { key: "A" }, '["eq","$Key","a"]'],
    [["starts-with", "$key", "a"], { key: "ba" }, '["starts-with","$key","a"]'],
    [["starts-with", "$Content-Type", ""], {}, '["starts-with","$Content-Type",""]'],
    [{ acl: "private" }, {}, '["eq","$acl","private"]'],
    [
      ["starts-with", "$Content-Type", "image/"],
      { "content-type": "image/png, text/html" },
      '["starts-with","$Content-Type","image/"]',
    ],
  ])("%j against %j: AccessDenied, and which", (condition, values, shown) => {
    const covers = [BUCKET, ["starts-with", "$key", ""]];
    const [code, message] = check([...covers, condition], { key: "x", ...values });
    expect([code, message]).toEqual(["AccessDenied", `Invalid according to Policy: Policy Condition failed: ${shown}`]);
  });

  it("names and operators in any case; a list of types; any value where a prefix is empty", () => {
    const conditions = [
      { bUcKeT: "bucket" },
      ["StArTs-WiTh", "$KeY", ""],
      ["EQ", "$Acl", "private"],
      ["starts-with", "$content-type", "image/"],
    ];
    expect(check(conditions, { key: "x", acl: "private", "content-type": "image/png, image/gif" })[0]).toBe("taken");
  });

  it("the bucket is the path's: a field that names another does not stand for it", () => {
    expect(check([{ bucket: "other" }, { key: "a" }], { key: "a", bucket: "other" })[0]).toBe("AccessDenied");
    expect(check([{ bucket: "bucket" }, { key: "a" }], { key: "a", bucket: "other" })[0]).toBe("AccessDenied");
    expect(check([{ bucket: "bucket" }, { key: "a" }], { key: "a", bucket: "bucket" })[0]).toBe("taken");
  });

  it("until its expiration: taken; from then on: AccessDenied", () => {
    const at = (ms: number) => check([BUCKET, { key: "a" }], { key: "a" }, ms);
    expect(at(AWS_NOW_MS + 3_599_999)[0]).toBe("taken");
    expect(at(AWS_NOW_MS + 3_600_000)).toEqual(["AccessDenied", "Invalid according to Policy: Policy expired."]);
  });

  it("content-length-range: the narrowest of them", () => {
    const ranges = [
      ["content-length-range", 1, 100],
      ["Content-Length-Range", "10", "1000"],
    ];
    const policy = parsePostPolicy(policyOf([BUCKET, ["starts-with", "$key", ""], ...ranges]));
    expect(checkPostPolicy(policy, new Map([["key", "a"]]), "bucket", AWS_NOW_MS)).toEqual({ min: 10, max: 100 });
  });

  it.each<[string, unknown]>([
    ["no base64", "%%%"],
    ["no JSON", base64("{")],
    ["a list", base64([])],
    ["no expiration", base64({ conditions: [] })],
    ["an expiration of another case", base64({ EXPIRATION: "2013-05-24T01:00:00Z", conditions: [] })],
    ["an expiration that is none", base64({ expiration: "tomorrow", conditions: [] })],
    ["no conditions", base64({ expiration: "2013-05-24T01:00:00Z" })],
    ["conditions that are no list", base64({ expiration: "2013-05-24T01:00:00Z", conditions: {} })],
    ["something else", base64({ expiration: "2013-05-24T01:00:00Z", conditions: [], version: 1 })],
    ["an empty condition", policyOf([{}])],
    ["two in one", policyOf([{ a: "b", c: "d" }])],
    ["a value that is no text", policyOf([{ a: 1 }])],
    ["a word", policyOf(["a"])],
    ["an unknown operator", policyOf([["ends-with", "$key", "a"]])],
    ["no dollar", policyOf([["eq", "key", "a"]])],
    ["too few", policyOf([["eq", "$key"]])],
    ["too many", policyOf([["eq", "$key", "a", "b"]])],
    ["half a range", policyOf([["content-length-range", 0]])],
    ["a negative range", policyOf([["content-length-range", -1, 5]])],
    ["a range of words", policyOf([["content-length-range", "a", "b"]])],
  ])("%s: InvalidPolicyDocument", (_what, field) => {
    const [code, message] = failure(() => parsePostPolicy(field as string));
    expect(code).toBe("InvalidPolicyDocument");
    expect(message).toMatch(/^Invalid Policy: /);
  });

  it("S3's own escapes, and line ends in the base64: read", () => {
    const text = String.raw`{"expiration":"2013-05-24T01:00:00Z","conditions":[["eq","$key","a\$b\v\\$\u00e9"]]}`;
    const field = base64(text).replace(/.{20}/g, "$&\r\n");
    expect(parsePostPolicy(field).conditions).toMatchObject([{ field: "key", value: "a$b\v\\$é" }]);
  });

  it("prototype pollution: __proto__ is a field like any other", () => {
    const policy = parsePostPolicy(base64('{"expiration":"2013-05-24T01:00:00Z","conditions":[{"__proto__":"x"}]}'));
    expect(policy.conditions).toMatchObject([{ field: "__proto__", value: "x" }]);
    expect(
      failure(() => parsePostPolicy(base64('{"__proto__":{"expiration":"2013-05-24T01:00:00Z","conditions":[]}}')))[0],
    ).toBe("InvalidPolicyDocument");
  });
});

describe("signed forms", () => {
  const POLICY = policyOf([{ bucket: "bucket" }]);
  const signature = (policy: string, key = chunkKey()): string =>
    createHmac("sha256", key).update(policy).digest("hex");
  const signedForm = (change: Record<string, string | undefined> = {}, secret = AWS_SECRET): Map<string, string> => {
    const form: Record<string, string | undefined> = {
      policy: POLICY,
      "x-amz-algorithm": "AWS4-HMAC-SHA256",
      "x-amz-credential": `${AWS_KEY}/20130524/us-east-1/s3/aws4_request`,
      "x-amz-date": "20130524T000000Z",
      "x-amz-signature": signature(change.policy ?? POLICY, chunkKey(secret)),
      ...change,
    };
    return new Map(Object.entries(form).filter((pair): pair is [string, string] => pair[1] !== undefined));
  };
  const authenticate = (form: Map<string, string>, users = [userOf("ann", "ANN1", "secret")]): Authentication =>
    authenticateForm(form, authorityOf(users, { nowMs: AWS_NOW_MS + 5 }));

  it("the example of the S3 API reference: its signature", () => {
    // "Example: Browser-Based Upload using HTTP POST": the policy as it is published, of 2015-12-29.
    const policy =
      "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9";
    const form = signedForm({
      policy,
      "x-amz-credential": "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request",
      "x-amz-date": "20151229T000000Z",
      "x-amz-signature": "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e",
    });
    expect(authenticate(form).caller.kind).toBe("root");
    expect(parsePostPolicy(policy).conditions).toHaveLength(11);
  });

  it("a user's: that user, by POST", () => {
    const form = signedForm({ "x-amz-credential": "ANN1/20130524/us-east-1/s3/aws4_request" }, "secret");
    expect(authenticate(form)).toMatchObject({
      ...{
        caller: { kind: "user", name: "ann" },
        type: "POST",
        signatureAgeMs: 5,
        signatureVersion: "AWS4-HMAC-SHA256",
      },
    });
  });

  it("neither policy nor signature: anonymous", () => {
    expect(authenticate(new Map([["key", "a"]]))).toMatchObject({
      caller: { kind: "anonymous" },
      signatureVersion: "",
    });
  });

  it("signature skipped for one credential kind: each part of it must be there and right", () => {
    for (const name of ["policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"]) {
      for (const value of [undefined, ""]) {
        const [code, message] = failure(() => authenticate(signedForm({ [name]: value })));
        expect(code).toBe("InvalidArgument");
        expect(message.toLowerCase()).toContain(`bucket post must contain a field named '${name}'`);
      }
    }
    expect(failure(() => authenticate(signedForm({ "x-amz-signature": signature("other") })))[0]).toBe(
      "SignatureDoesNotMatch",
    );
    expect(failure(() => authenticate(signedForm({ policy: POLICY, "x-amz-signature": "" })))[0]).toBe(
      "InvalidArgument",
    );
    const unknown = { "x-amz-credential": "NOBODY/20130524/us-east-1/s3/aws4_request" };
    expect(failure(() => authenticate(signedForm(unknown)))[0]).toBe("InvalidAccessKeyId");
    const disabled = [userOf("ann", "ANN1", "secret", { disabled: true })];
    const ann = { "x-amz-credential": "ANN1/20130524/us-east-1/s3/aws4_request" };
    expect(failure(() => authenticate(signedForm(ann, "secret"), disabled))[0]).toBe("InvalidAccessKeyId");
  });

  it.each([
    [{ "x-amz-algorithm": "AWS4-HMAC-SHA1" }, "AuthorizationQueryParametersError"],
    [{ "x-amz-algorithm": "AWS4-ECDSA-P256-SHA256" }, "NotImplemented"],
    [{ "x-amz-credential": "a/b" }, "AuthorizationQueryParametersError"],
    [{ "x-amz-credential": `${AWS_KEY}/20130524/eu-west-1/s3/aws4_request` }, "AuthorizationQueryParametersError"],
    [{ "x-amz-date": "20130525T000000Z" }, "AuthorizationQueryParametersError"],
    [{ "x-amz-date": "2013" }, "AuthorizationQueryParametersError"],
    [{ "x-amz-security-token": "t" }, "InvalidToken"],
    [{ awsaccesskeyid: AWS_KEY, signature: "c2ln" }, "InvalidRequest"],
  ])("%j: %s", (change, code) => {
    expect(failure(() => authenticate(signedForm(change)))[0]).toBe(code);
  });
});

describe("the request that a form stands for", () => {
  const request = requestOf("POST", "/bucket", [
    ["Host", "localhost"],
    ["Content-Type", "multipart/form-data; boundary=x"],
    ["User-Agent", "browser"],
    ["x-amz-acl", "public-read-write"],
    ["x-amz-meta-a", "of the header"],
  ]);
  const form = (fields: [string, string][], filename = "f.txt") =>
    formValues({
      fields: fields.map(([name, value]) => ({ name, value })),
      file: { filename, bytes: (async function* () {})() },
      close: async () => {},
    });

  it("its fields as headers, none of the HTTP request's", () => {
    const tagging = "<Tagging><TagSet><Tag><Key>a b</Key><Value>é</Value></Tag></TagSet></Tagging>";
    const values = form([
      ["Key", "a/b"],
      ["acl", "private"],
      ["Content-Type", "text/plain"],
      ["x-amz-meta-B", "é"],
      ["Tagging", tagging],
      ["x-amz-date", "d"],
      ["referer", "field"],
      ["x-ignore-c", "d"],
    ]);
    const made = formRequest(request, "a/b", values);
    expect(made.key).toBe("a/b");
    expect(Object.fromEntries(made.headers)).toEqual({
      host: "localhost",
      "user-agent": "browser",
      "content-type": "text/plain",
      "x-amz-meta-b": Buffer.from("é").toString("latin1"),
      "x-amz-acl": "private",
      "x-amz-tagging": "a%20b=%C3%A9",
    });
  });

  it("the placeholder of the file's name: filled in, but not where it would change what was signed", () => {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: S3's own placeholder
    const placeholder = "${filename}";
    const values = form(
      [
        ["key", `u/${placeholder}`],
        ["x-amz-meta-n", `${placeholder},${placeholder}`],
        ["policy", placeholder],
      ],
      "$&.txt",
    );
    expect([...values.values()]).toEqual(["u/$&.txt", "$&.txt,$&.txt", placeholder]);
  });

  it("a field twice, whatever its case: InvalidArgument", () => {
    expect(
      failure(() =>
        form([
          ["key", "a"],
          ["Key", "b"],
        ]),
      )[0],
    ).toBe("InvalidArgument");
  });
});
