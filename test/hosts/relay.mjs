import { connect, createServer } from "node:net";

// In a virtual machine: passes what comes to a TCP port on to a unix socket, so that a test outside can call what serves there.
const [port = "", socket = ""] = process.argv.slice(2);
createServer((outer) => {
  const inner = connect(socket);
  outer.on("error", () => inner.destroy()).on("close", () => inner.destroy());
  inner.on("error", () => outer.destroy()).on("close", () => outer.destroy());
  outer.pipe(inner).pipe(outer);
}).listen(Number(port), "0.0.0.0");
