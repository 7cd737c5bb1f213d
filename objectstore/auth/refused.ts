import { S3Error } from "../../src/errors/s3-error.js";
import { ALGORITHM, ECDSA } from "./signature.js";

/** SigV2, in S3's words of the regions that never had it. */
export function version2Refused(): S3Error {
  return new S3Error(
    "InvalidRequest",
    `The authorization mechanism you have provided is not supported. Please use ${ALGORITHM}.`,
  );
}

export function ecdsaRefused(): S3Error {
  return new S3Error("NotImplemented", `${ECDSA} signatures are not implemented; sign with ${ALGORITHM}`);
}
