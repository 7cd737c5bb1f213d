import { lineWidth, stderrProgress } from "./progress.js";
import { visible } from "./table.js";

/** What the demo prints: numbered steps, commands to type, their output, and what was checked. */
export interface Screen {
  text(line: string): void;
  step(title: string): void;
  /** A command, shown as in progress on a terminal until something else is printed. */
  command(line: string): void;
  output(text: string): void;
  done(line: string): void;
  failed(line: string): void;
}

const PLAIN = { bold: "", dim: "", green: "", red: "", off: "" };
const COLOURS = {
  bold: "\u001b[1m",
  dim: "\u001b[2m",
  green: "\u001b[32m",
  red: "\u001b[31m",
  off: "\u001b[0m",
};

/** Colours and cut lines on a terminal alone: a file gets plain text, whole. */
export function openScreen(stream: NodeJS.WriteStream = process.stdout): Screen {
  const terminal = stream.isTTY === true;
  // hasColors knows NO_COLOR and TERM=dumb.
  const { bold, dim, green, red, off } = terminal && stream.hasColors() ? COLOURS : PLAIN;
  const progress = stderrProgress();
  let steps = 0;
  const print = (before: string, line: string, whole = false) => {
    progress.clear();
    const width = terminal && !whole ? lineWidth(stream) : Number.POSITIVE_INFINITY;
    const shown = visible(line);
    const cut = shown.length > width ? `${shown.slice(0, width - 1)}\u2026` : shown;
    stream.write(`${before}${cut}${before === "" ? "" : off}\n`);
  };
  return {
    text: (line) => print("", line),
    step(title) {
      print("", "");
      print(bold, `${String(++steps).padStart(2)}  ${title}`);
    },
    command(line) {
      // Whole, to be copied.
      print("", `    $ ${line}`, true);
      progress.show("      working ...");
    },
    output(text) {
      for (const line of text.trimEnd().split("\n")) print(dim, `      ${line}`);
    },
    done: (line) => print(green, `    \u2713 ${line}`),
    failed: (line) => print(red, `    \u2717 ${line}`),
  };
}
