import type { LifecycleRule } from "./rule.js";

/** The longest prefix that all the rules' prefixes begin with: what lies elsewhere need not be looked at. */
export function sharedPrefix(rules: readonly LifecycleRule[]): string {
  const [first = "", ...others] = rules.map(({ filter }) => filter.prefix ?? "");
  let length = first.length;
  for (const other of others) {
    let same = 0;
    while (same < length && same < other.length && first[same] === other[same]) same += 1;
    length = same;
  }
  const prefix = first.slice(0, length);
  // Half a surrogate pair is no text of its own.
  return /[\ud800-\udbff]$/.test(prefix) ? prefix.slice(0, -1) : prefix;
}
