import { visible } from "./table.js";

export interface Progress {
  show(line: string): void;
  /** Takes the rewritten line away, before anything else is printed. */
  clear(): void;
}

/** Progress on stderr: on a terminal one line that is rewritten, else a line each. */
export function stderrProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  if (!stream.isTTY) return { show: (line) => void stream.write(`${visible(line)}\n`), clear: () => {} };
  return {
    show: (line) => void stream.write(`\r\u001b[K${visible(line).slice(0, Math.max(20, stream.columns - 1))}`),
    clear: () => void stream.write("\r\u001b[K"),
  };
}
