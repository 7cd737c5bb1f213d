/** Fires when the user stops a benchmark, or reads its output no more: what it started must not stay behind. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(name, () => stop.abort(new Error(`stopped by ${name}`)));
  // A reader that goes away (`| head`) would end the process at once, and leave mounts and servers behind.
  for (const stream of [process.stdout, process.stderr])
    stream.on("error", () => stop.abort(new Error("nobody reads the output any more")));
  return stop.signal;
}
