// Prints what csi-sanity passed, skipped and failed, from its JUnit file: csi-sanity-report.mjs FILE VERSION ACCESS ENGINE.
// Fails if nothing ran, if a case failed, or if the skipped cases are not exactly those below.
import { readFileSync } from "node:fs";

const NEVER_RUN = {
  "Controller Service [Controller Server] ListVolumes pagination should detect volumes added between pages and accept tokens when the last volume from a page is deleted":
    "the suite marks it as pending for every driver",
  "Controller Service [Controller Server] ControllerPublishVolume should fail when publishing more volumes than the node max attach limit":
    "the suite runs it for a node with a limit (max_volumes_per_node); this one has none",
};
const LATER_THAN_V1_12 = "needs a capability of CSI v1.13";

/** The cases that a version may skip, for mount and for block access, each with the reason. README lists them. */
const ALLOWED = {
  "v5.4.0": {
    ...NEVER_RUN,
    "Controller Service [Controller Server] ControllerGetCapabilities should return appropriate capabilities":
      "left out by csi-sanity.sh: it fails on any driver with GET_SNAPSHOT, which this version does not know",
  },
  latest: {
    ...NEVER_RUN,
    "ControllerGetVolumeHealth [Controller Server] should fail when no volume id is provided": LATER_THAN_V1_12,
    "ControllerGetVolumeHealth [Controller Server] should return health for a valid volume": LATER_THAN_V1_12,
    "ControllerListVolumeHealth [Controller Server] should return appropriate response": LATER_THAN_V1_12,
    "CreateSnapshot [Controller Server] should succeed when creating a snapshot with accessibility requirements":
      LATER_THAN_V1_12,
    "Node Service NodeGetStorageHealth should return appropriate response": LATER_THAN_V1_12,
    "Node Service NodeGetVolumeHealth should fail when no volume id is provided": LATER_THAN_V1_12,
    "Node Service NodeGetVolumeHealth should return health for a valid volume": LATER_THAN_V1_12,
  },
};

const [file, version, access, engine] = process.argv.slice(2);
const allowed = ALLOWED[version];
if (!allowed) throw new Error(`csi-sanity-report: no list of skipped cases for version ${version}`);

const cases = [];
for (const [, attributes] of readFileSync(file, "utf8").matchAll(/<testcase\s([^>]*)>/g)) {
  const get = (name) => new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? "";
  // "[It]" marks a case; the rest are the suite's own set-up and reports.
  if (get("name").startsWith("[It]")) cases.push({ name: get("name").slice(5), status: get("status") });
}
const passed = cases.filter((each) => each.status === "passed");
const skipped = cases.filter((each) => each.status === "skipped" || each.status === "pending");
const failed = cases.filter((each) => !passed.includes(each) && !skipped.includes(each));
const unexpected = skipped.filter((each) => !Object.hasOwn(allowed, each.name));
const outdated = Object.keys(allowed).filter((name) => !skipped.some((each) => each.name === name));

for (const each of passed) console.log(`  passed   ${each.name}`);
for (const each of skipped) console.log(`  skipped  ${each.name} (${allowed[each.name] ?? "NOT ALLOWED"})`);
for (const each of failed) console.log(`  FAILED   ${each.name}`);
for (const each of unexpected) console.log(`  NOT ALLOWED to be skipped: ${each.name}`);
for (const name of outdated) console.log(`  NOT SKIPPED any more, take it off the list: ${name}`);
console.log(
  `csi-sanity ${engine} ${version} ${access}: ${passed.length} passed, ${skipped.length} skipped, ${failed.length} failed`,
);
process.exit(passed.length === 0 || failed.length + unexpected.length + outdated.length > 0 ? 1 : 0);
