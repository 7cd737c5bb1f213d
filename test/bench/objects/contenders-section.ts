import type { Section } from "../report.js";
import type { Contender } from "./contenders.js";
import type { Installed } from "./tools.js";

export interface Entrant {
  contender: Contender;
  installed: Installed;
}

/** Who was measured, with which settings, and who could not be. */
export function contendersSection(entrants: readonly Entrant[], problems: readonly string[]): Section {
  return {
    title: "The servers, each with the settings it was measured with",
    columns: ["version", "a PUT is synced", "settings"],
    rows: entrants.map(({ contender, installed }) => ({
      name: contender.title,
      cells: [
        "version" in installed ? installed.version : "not measured",
        contender.synced ? "yes" : "no",
        "version" in installed ? contender.safety : installed.absent,
      ],
    })),
    notes: problems.map((problem) => `Went wrong: ${problem}`),
  };
}
