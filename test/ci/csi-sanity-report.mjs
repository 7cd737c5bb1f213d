// Prints what csi-sanity passed, skipped and failed, from its JUnit file. Fails if nothing ran.
import { readFileSync } from "node:fs";

const [file, label] = process.argv.slice(2);
const cases = [];
for (const [, attributes] of readFileSync(file, "utf8").matchAll(/<testcase\s([^>]*)>/g)) {
  const get = (name) => new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? "";
  // "[It]" marks a case; the rest are the suite's own set-up and reports.
  if (get("name").startsWith("[It]")) cases.push({ name: get("name").slice(5), status: get("status") });
}
const passed = cases.filter((each) => each.status === "passed");
const skipped = cases.filter((each) => each.status === "skipped" || each.status === "pending");
const failed = cases.filter((each) => !passed.includes(each) && !skipped.includes(each));

for (const each of passed) console.log(`  passed   ${each.name}`);
for (const each of skipped) console.log(`  skipped  ${each.name}`);
for (const each of failed) console.log(`  FAILED   ${each.name}`);
console.log(`csi-sanity ${label}: ${passed.length} passed, ${skipped.length} skipped, ${failed.length} failed`);
process.exit(passed.length === 0 || failed.length > 0 ? 1 : 0);
