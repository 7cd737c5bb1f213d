import { Command } from "commander";
import { COMMANDS, type CommandEntry } from "./commands.js";

/**
 * `granary` as far as these words need it: the command that they name is whole, and of the others there is what the help
 * lists and what a mistyped name is compared with.
 */
export async function programFor(words: readonly string[], version: string): Promise<Command> {
  const program = new Command("granary")
    .description("Storage for a data center: block volumes, shared filesystem volumes and objects, behind one driver")
    .version(version)
    .showHelpAfterError("run with --help to see what is possible");
  const named = new Set(words.filter((word) => !word.startsWith("-")).slice(0, words[0] === "help" ? 2 : 1));
  for (const entry of COMMANDS) {
    const command = named.has(entry.name) ? await entry.load(version) : stub(entry);
    program.addCommand(command, { hidden: entry.hidden ?? false });
  }
  return program;
}

const stub = ({ name, description }: CommandEntry) => new Command(name).description(description);
