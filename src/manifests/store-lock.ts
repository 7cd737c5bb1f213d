import { type LockOptions, takeLock } from "../runtime/process-lock.js";

/**
 * Takes the exclusive right to write objects.
 *
 * @returns what gives it back
 * @throws StorageError failed-precondition when another command still holds it after `timeoutMs`
 */
export function lockObjects(folder: string, options: LockOptions): Promise<() => Promise<void>> {
  const refusal = ({ pid }: { pid: number }) =>
    `another granary command, process ${pid}, is changing objects in ${folder}; try again when it has ended`;
  return takeLock({ folder, name: "lock", refusal }, options);
}
