import { S3Error } from "../../src/errors/s3-error.js";
import type { Operation } from "../types.js";

/** An operation of S3 that Granary does not have: told by its name, and never mistaken for another. */
export function unsupported(name: string, scope: Operation["scope"]): Operation {
  return {
    name,
    scope,
    refused: true,
    async run() {
      throw new S3Error("NotImplemented", `${name} is not implemented`);
    },
  };
}
