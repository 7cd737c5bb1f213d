import { S3Error } from "../../src/errors/s3-error.js";
import type { Operation, S3Request } from "../types.js";

/**
 * One row of the table: the method, what must be in the query (`versions`) or with which value (`list-type=2`), a header
 * that must be there, and the operation. Rows of a scope are tried in order; the plain row comes last.
 */
export interface Route {
  readonly method: string;
  /** Subresources that name the operation; all must be there. */
  readonly query: readonly string[];
  readonly header?: string;
  readonly operation: Operation;
}

/** Query names that are parameters of operations, never the name of one. */
const PARAMETERS = new Set([
  "allow-unordered",
  "bucket-region",
  "continuation-token",
  "delimiter",
  "encoding-type",
  "fetch-owner",
  "key-marker",
  "list-type",
  "marker",
  "max-buckets",
  "max-keys",
  "max-parts",
  "max-uploads",
  "part-number-marker",
  "partNumber",
  "prefix",
  "renameSource",
  "response-cache-control",
  "response-content-disposition",
  "response-content-encoding",
  "response-content-language",
  "response-content-type",
  "response-expires",
  "start-after",
  "upload-id-marker",
  "uploadId",
  "version-id-marker",
  "versionId",
  "x-id",
]);

const isParameter = (name: string) => PARAMETERS.has(name) || isAuthentication(name);

/** Query names that presigned requests bring. */
const isAuthentication = (name: string) =>
  (name.length > 6 && name.slice(0, 6).toLowerCase() === "x-amz-") ||
  name === "AWSAccessKeyId" ||
  name === "Signature" ||
  name === "Expires";

export class Router {
  readonly #routes = new Map<string, Route[]>();
  readonly #plain = new Map<string, Operation>();
  /** Every query name that is part of a row: the subresources that Granary knows of. */
  readonly #subresources = new Set<string>();

  constructor(routes: readonly Route[]) {
    for (const route of routes) {
      const at = `${route.operation.scope} ${route.method}`;
      if (route.query.length === 0 && route.header === undefined) this.#plain.set(at, route.operation);
      else this.#routes.set(at, [...(this.#routes.get(at) ?? []), route]);
      for (const part of route.query) {
        const name = part.split("=")[0] ?? "";
        if (!PARAMETERS.has(name)) this.#subresources.add(name);
      }
    }
  }

  /**
   * The operation that a request asks for.
   *
   * @throws S3Error NotImplemented for a subresource that no row has, so that `PUT /key?unknown` is no PutObject;
   *   MethodNotAllowed where no row has the method
   */
  route(request: S3Request): Operation {
    const scope = request.bucket === undefined ? "service" : request.key === undefined ? "bucket" : "object";
    const at = `${scope} ${request.method}`;
    // The common case: a plain GET or PUT of a key.
    if (request.query.size === 0 && !this.#routes.get(at)?.some((route) => route.header !== undefined))
      return this.#plainAt(at, request);
    for (const route of this.#routes.get(at) ?? []) if (matches(route, request)) return route.operation;
    for (const name of request.query.keys()) {
      if (isParameter(name)) continue;
      if (this.#subresources.has(name))
        throw new S3Error("MethodNotAllowed", `${request.method} is not allowed for the subresource ${name}`);
      // A value makes it a parameter that a reader may ignore, as S3 does; a bare name, or a write, may mean anything.
      if (request.query.get(name) === "" || (request.method !== "GET" && request.method !== "HEAD"))
        throw new S3Error("NotImplemented", `the subresource ${JSON.stringify(name)} is not implemented`);
    }
    return this.#plainAt(at, request);
  }

  #plainAt(at: string, request: S3Request): Operation {
    const operation = this.#plain.get(at);
    if (!operation)
      throw new S3Error("MethodNotAllowed", undefined, {
        fields: { Method: request.method, ResourceType: request.key === undefined ? "BUCKET" : "OBJECT" },
      });
    return operation;
  }
}

function matches({ query, header }: Route, request: S3Request): boolean {
  for (const part of query) {
    const equals = part.indexOf("=");
    if (equals < 0 ? !request.query.has(part) : request.query.get(part.slice(0, equals)) !== part.slice(equals + 1))
      return false;
  }
  return header === undefined || request.headers.has(header);
}
