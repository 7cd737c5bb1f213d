import type { Exec } from "./exec.js";

/** The same `exec`, with `observe` told of each program's start and, by what it returns, of its end. */
export function observedExec(exec: Exec, observe: (program: string) => (failed: boolean) => void): Exec {
  return async (program, args, options) => {
    const ended = observe(program);
    try {
      const result = await exec(program, args, options);
      ended(false);
      return result;
    } catch (error) {
      ended(true);
      throw error;
    }
  };
}
