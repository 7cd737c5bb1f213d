import { visible } from "./table.js";

export interface Progress {
  show(line: string): void;
  /** Takes the rewritten line away, before anything else is printed. */
  clear(): void;
}

/** The characters that fit in a line of a terminal without wrapping; one that does not tell its width says 0. */
export const lineWidth = (stream: NodeJS.WriteStream): number => Math.max(20, (stream.columns || 80) - 1);

/** Progress on a terminal's stderr, one line that is rewritten. A file or a pipe gets none: events keep what happened. */
export function stderrProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  if (!stream.isTTY) return { show: () => {}, clear: () => {} };
  return {
    show: (line) => void stream.write(`\r\u001b[K${visible(line).slice(0, lineWidth(stream))}`),
    clear: () => void stream.write("\r\u001b[K"),
  };
}
