import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tool } from "./csi-requests.js";

/** A tool in a folder that comes first in PATH: it hangs for as long as the file `hang` is there. */
export function hangingTool(
  dir: string,
  name: string,
): { env: Record<string, string>; hang: string; begun: string; marker: string } {
  const bin = join(dir, "bin");
  const [hang, begun] = [join(dir, "hang"), join(dir, "begun")];
  // Distinct from any other sleep on this machine.
  const marker = `${600 + Math.random()}`;
  mkdirSync(bin);
  writeFileSync(hang, "");
  const real = tool("which", name).trim();
  const script = `#!/bin/sh\nif [ -e ${hang} ]; then : > ${begun}; sleep ${marker}; fi\nexec ${real} "$@"\n`;
  writeFileSync(join(bin, name), script);
  chmodSync(join(bin, name), 0o755);
  return { env: { PATH: `${bin}:${process.env.PATH}` }, hang, begun, marker };
}

/** Processes whose command line holds the text. */
export const processesWith = (text: string) =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(text);
      } catch {
        // It ended while this looked.
        return false;
      }
    });

export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 10));
}
