import type { Command } from "commander";

/** The flags of the object store, of `granary objectstore` and of `granary up` alike: flag, value, what it is. */
const OPTIONS = [
  ["--s3-listen <address>", "HOST:PORT to serve S3 on (default 127.0.0.1:9000; 0.0.0.0:9000 for every interface)"],
  ["--workers <count>", "how many processes serve S3 requests (default auto: as many as cores)"],
  ["--tls-cert <file>", "PEM certificate chain; with --tls-key, S3 is served over HTTPS"],
  ["--tls-key <file>", "PEM private key"],
  ["--region <name>", "the region that S3 signatures name (default us-east-1)"],
  ["--domain <names>", "domains, with commas between them, under which BUCKET.DOMAIN is a bucket"],
] as const;

/** Flags that both commands have for themselves, and that the object store of `up` is given on. */
const SHARED = ["config", "dataDir", "logLevel"];

export function addObjectstoreOptions(command: Command): Command {
  for (const [flag, text] of OPTIONS) command.option(flag, text);
  return command;
}

/** The arguments by which `granary objectstore` means what these flags of `granary up` say. */
export function objectstoreArguments(flags: Readonly<Record<string, unknown>>): string[] {
  const known = [...SHARED.map(kebab), ...OPTIONS.map(([flag]) => flag.slice(2).split(" ")[0] ?? "")];
  return Object.entries(flags)
    .filter(([key, value]) => known.includes(kebab(key)) && value !== undefined)
    .map(([key, value]) => `--${kebab(key)}=${String(value)}`);
}

const kebab = (key: string) =>
  key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`).replace(/(\D)(\d)/g, "$1$2");
