// Claims a data dir as soon as the file `go` is there, prints {"won":true} or the refusal, and holds what it won until
// it is killed.
import { existsSync } from "node:fs";
import { claimDataDir } from "../../dist/src/runtime/server-file.js";

const [dataDir, role, endpoint, go] = process.argv.slice(2);
process.stdout.write("here\n");
// No pause between two looks: all claimants are to start at the same moment.
while (!existsSync(go));
try {
  await claimDataDir(dataDir, role, endpoint);
  process.stdout.write(`${JSON.stringify({ won: true })}\n`);
  setInterval(() => {}, 60_000);
} catch (error) {
  process.stdout.write(`${JSON.stringify({ won: false, code: error.code, message: error.message })}\n`);
}
