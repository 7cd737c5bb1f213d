import { describe, expect, it } from "vitest";
import { parseClusters } from "../../src/config/clusters.js";
import { parseClass, parseQos } from "../../src/engines/ceph/rbd/parameters.js";

const [config] = parseClusters({ main: { monitors: "a", pools: "fast, slow", namespace: "ours" } });
const parse = (parameters: Record<string, string>) => {
  if (!config) throw new Error("no config");
  return parseClass(parameters, config);
};
const refusal = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    const { code, message } = error as { code: string; message: string };
    return `${code}: ${message}`;
  }
  return "taken";
};
const FEATURES = ["layering", "exclusive-lock", "object-map", "fast-diff", "deep-flatten"];

describe("StorageClass parameters of RBD", () => {
  it("nothing said: the first pool, the config's namespace, and every feature that Linux knows", () => {
    expect(parse({ cluster: "main" })).toEqual({
      pool: "fast",
      namespace: "ours",
      dataPool: "fast",
      options: FEATURES.flatMap((feature) => ["--image-feature", feature]),
    });
  });

  it("pool, namespace, data pool, features and layout are taken", () => {
    const parameters = {
      ...{ pool: "slow", namespace: "theirs", dataPool: "erasure", imageFeatures: "layering, exclusive-lock" },
      ...{ objectSize: "8Mi", stripeUnit: "64Ki", stripeCount: "16" },
    };
    expect(parse(parameters)).toEqual({
      ...{ pool: "slow", namespace: "theirs", dataPool: "erasure" },
      options: [
        ...["--image-feature", "layering", "--image-feature", "exclusive-lock", "--data-pool", "erasure"],
        ...["--object-size", "8388608B", "--stripe-unit", "65536B", "--stripe-count", "16"],
      ],
    });
  });

  it.each([
    [{ pool: "other" }, /parameters\[pool\]: "other" is none of the pools .*: fast, slow/],
    [{ namespace: "a/b" }, /parameters\[namespace\]/],
    [{ dataPool: "--pool=x" }, /parameters\[dataPool\]/],
    [
      { imageFeatures: "layering,exclusive-lock,journaling" },
      /parameters\[imageFeatures\]: "journaling" is not one of/,
    ],
    [{ imageFeatures: "layering" }, /exclusive-lock is missing/],
    [{ imageFeatures: "layering,exclusive-lock,fast-diff" }, /fast-diff needs object-map too/],
    [{ objectSize: "3Mi" }, /parameters\[objectSize\]: 3Mi must be a power of two from 4Ki to 32Mi/],
    [{ objectSize: "64Mi" }, /parameters\[objectSize\]/],
    [{ stripeUnit: "64Ki" }, /parameters\[stripeCount\] is missing/],
    [{ stripeUnit: "3Ki", stripeCount: "2" }, /parameters\[stripeUnit\]: 3Ki must divide objectSize/],
    [{ stripeUnit: "64Ki", stripeCount: "0" }, /parameters\[stripeCount\]/],
    [{ iops: "many" }, /parameters\[iops\]/],
  ])("%j is refused by its key", (parameters, words) => {
    expect(refusal(() => parse(parameters))).toMatch(words);
    expect(refusal(() => parse(parameters))).toMatch(/^invalid-argument: /);
  });

  it("limits become what librbd reads", () => {
    expect([...parseQos({ iops: "500", bps: "10Mi", other: "x" }, "mutable_parameters")]).toEqual([
      ["conf_rbd_qos_iops_limit", "500"],
      ["conf_rbd_qos_bps_limit", "10485760"],
    ]);
    expect(refusal(() => parseQos({ iops: "-1" }, "mutable_parameters"))).toMatch(/mutable_parameters\[iops\]/);
  });
});
