import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "pino";
import type { IdentityStore } from "../../src/engines/identity-store.js";
import type { ObjectEngine } from "../../src/engines/object-engine.js";
import { S3Error, toS3Error } from "../../src/errors/s3-error.js";
import type { Bucket } from "../../src/model/bucket.js";
import { checkExpectedOwner, isAllowed } from "../access/decide.js";
import { authenticate } from "../auth/authenticate.js";
import { withHoistedHeaders } from "../auth/hoisted.js";
import type { Authority } from "../auth/verify.js";
import { openBody } from "../body/open-body.js";
import { corsHeaders, preflight } from "../cors.js";
import type { Router } from "../routing/route.js";
import type {
  Authentication,
  Caller,
  GatewaySettings,
  Need,
  Operation,
  RequestBody,
  RequestContext,
  S3Request,
  S3Response,
} from "../types.js";
import { clientAddressOf, type TrustedProxies } from "./client-address.js";
import { discardBody } from "./discard-body.js";
import { parseRequest } from "./request.js";
import { newRequestId } from "./request-id.js";
import type { RequestMetrics } from "./request-metrics.js";
import { errorResponse, respond } from "./respond.js";

/** What every request of a gateway shares. */
export interface Gateway {
  readonly engine: ObjectEngine;
  readonly identities: IdentityStore;
  readonly router: Router;
  readonly settings: GatewaySettings;
  readonly root: Authority["root"];
  readonly trustedProxies: TrustedProxies;
  readonly metrics: RequestMetrics;
  readonly log: Logger;
}

/** Operations that come to a bucket which need not be there. */
const WITHOUT_BUCKET = new Set(["CreateBucket"]);

/** One request of a client, from its head to the end of its response. Never rejects. */
export async function serveRequest(
  gateway: Gateway,
  message: IncomingMessage,
  outgoing: ServerResponse,
  expectsContinue: boolean,
): Promise<void> {
  const startMs = performance.now();
  const scope = new RequestScope(gateway, message, outgoing, expectsContinue);
  let response: S3Response;
  let failure: unknown;
  try {
    response = await scope.answer();
  } catch (error) {
    failure = error;
    response = scope.errorResponse(error);
  }
  let sentBytes = 0;
  try {
    // What was not read of the body must not be taken for the next request, nor hold the client up.
    const discarded = message.complete ? undefined : discardBody(message, response.headers, scope.continued);
    const { requestId } = scope;
    sentBytes = await respond(outgoing, message.method ?? "", requestId, response, scope.crossOrigin(), discarded);
  } catch (error) {
    failure ??= error;
  }
  if (failure !== undefined) report(scope, failure);
  gateway.metrics.observe(scope.operationName, response.status, (performance.now() - startMs) / 1000, sentBytes);
}

function report(scope: RequestScope, failure: unknown): void {
  const { status, code } = toS3Error(failure);
  if (status < 500) {
    scope.log.debug({ operation: scope.operationName, code }, (failure as Error).message);
    return;
  }
  scope.log.error({ operation: scope.operationName, code, err: failure }, "request failed");
}

/** A request and all that becomes known of it on its way; it is the operation's context too. */
class RequestScope implements RequestContext {
  readonly gateway: Gateway;
  readonly requestId = newRequestId();
  readonly engine: ObjectEngine;
  readonly identities: IdentityStore;
  readonly settings: GatewaySettings;
  readonly #message: IncomingMessage;
  readonly #outgoing: ServerResponse;
  readonly #expectsContinue: boolean;
  continued = false;
  #operation: Operation | undefined;
  #request: S3Request | undefined;
  #auth: Authentication | undefined;
  #bucket: Bucket | undefined;
  #body: RequestBody | undefined;
  #abort: AbortController | undefined;
  #log: Logger | undefined;

  constructor(gateway: Gateway, message: IncomingMessage, outgoing: ServerResponse, expectsContinue: boolean) {
    this.gateway = gateway;
    this.engine = gateway.engine;
    this.identities = gateway.identities;
    this.settings = gateway.settings;
    this.#message = message;
    this.#outgoing = outgoing;
    this.#expectsContinue = expectsContinue;
  }

  get operationName(): string {
    return this.#operation?.name ?? "none";
  }

  get request(): S3Request {
    return this.#request as S3Request;
  }

  get auth(): Authentication {
    return this.#auth as Authentication;
  }

  get caller(): Caller {
    return this.auth.caller;
  }

  get body(): RequestBody {
    this.#body ??= openBody(this.request, this.auth.payload, () => this.#continue());
    return this.#body;
  }

  get bucket(): Bucket {
    if (this.#bucket === undefined) throw new S3Error("NoSuchBucket");
    return this.#bucket;
  }

  get key(): string {
    return this.request.key ?? "";
  }

  /** Made when it is asked for: most requests are over before anybody could listen. */
  get signal(): AbortSignal {
    if (!this.#abort) {
      const abort = new AbortController();
      this.#abort = abort;
      if (this.#outgoing.destroyed) abort.abort();
      else
        this.#outgoing.once("close", () => {
          if (!this.#outgoing.writableFinished) abort.abort();
        });
    }
    return this.#abort.signal;
  }

  get log(): Logger {
    this.#log ??= this.gateway.log.child({ requestId: this.requestId });
    return this.#log;
  }

  async answer(): Promise<S3Response> {
    const { gateway } = this;
    const message = this.#message;
    const request = parseRequest(message, {
      id: this.requestId,
      domains: gateway.settings.domains,
      clientAddress: clientAddressOf(message, gateway.trustedProxies),
    });
    this.#request = request;
    if (request.method === "OPTIONS") return preflight(request, await this.#findBucket());
    // A page's script may read the refusal too: the bucket's rules are looked up before anything can be refused.
    if (request.headers.has("origin")) this.#bucket = await this.#findBucket();
    this.#auth = authenticate(request, this.#authority());
    // What a presigned URL has in its query in place of headers.
    if (this.#auth.type === "REST-QUERY-STRING") this.#request = withHoistedHeaders(request);
    const operation = gateway.router.route(this.request);
    this.#operation = operation;
    if (request.bucket !== undefined) {
      this.#bucket ??= await this.#findBucket();
      if (this.#bucket) checkExpectedOwner(request, this.#bucket);
      else if (!WITHOUT_BUCKET.has(operation.name))
        throw new S3Error("NoSuchBucket", undefined, { fields: { BucketName: request.bucket } });
    }
    return operation.run(this);
  }

  become(request: S3Request, authenticateAs: (authority: Authority) => Authentication): void {
    this.#auth = authenticateAs(this.#authority());
    this.#request = request;
  }

  async allowed(need: Need): Promise<boolean> {
    return this.#decide(need);
  }

  async allow(need: Need): Promise<void> {
    if (!this.#decide(need)) throw new S3Error("AccessDenied");
  }

  errorResponse(error: unknown): S3Response {
    const path = this.#request?.rawPath ?? this.#message.url?.split("?")[0] ?? "/";
    return errorResponse(error, this.#message.method ?? "", this.requestId, path);
  }

  /** The headers of cross-origin resource sharing, where the bucket has rules and the client names an origin. */
  crossOrigin(): Record<string, string> | undefined {
    if (this.#bucket?.config.cors === undefined || this.#request === undefined) return undefined;
    return corsHeaders(this.#request, this.#bucket);
  }

  #authority(): Authority {
    const { identities, root, settings } = this.gateway;
    return { identities, root, region: settings.region, nowMs: Date.now() };
  }

  #decide(need: Need): boolean {
    return isAllowed({
      caller: this.caller,
      bucket: need.bucket ?? this.#bucket,
      need,
      request: this.request,
      auth: this.auth,
      settings: this.settings,
    });
  }

  async #findBucket(): Promise<Bucket | undefined> {
    const name = this.request.bucket;
    return name === undefined ? undefined : this.engine.bucket(this, name);
  }

  #continue(): void {
    if (!this.#expectsContinue || this.continued) return;
    this.continued = true;
    this.#outgoing.writeContinue();
  }
}
