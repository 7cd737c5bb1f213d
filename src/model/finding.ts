/** Something that `granary doctor` found. Errors need a person; warnings are worth knowing. */
export interface Finding {
  severity: "error" | "warning";
  /** Which check found it, the same words every time: `image-missing`. */
  check: string;
  /** The volume, path or device that it is about. */
  where: string;
  what: string;
  /** What to do about it. */
  next: string;
}

export const errorFinding = (check: string, where: string, what: string, next: string): Finding => ({
  severity: "error",
  ...{ check, where, what, next },
});

export const warningFinding = (check: string, where: string, what: string, next: string): Finding => ({
  severity: "warning",
  ...{ check, where, what, next },
});

/** Two looks at a system at work: what is in both is a finding, what went away was an operation in progress. */
export function lastingFindings(first: readonly Finding[], second: readonly Finding[]) {
  const keyOf = (finding: Finding) => `${finding.check} ${finding.where}`;
  const [before, after] = [new Set(first.map(keyOf)), new Set(second.map(keyOf))];
  return {
    lasting: second.filter((finding) => before.has(keyOf(finding))),
    inProgress: [
      ...first.filter((finding) => !after.has(keyOf(finding))),
      ...second.filter((finding) => !before.has(keyOf(finding))),
    ],
  };
}
