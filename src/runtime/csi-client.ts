import {
  Client,
  credentials,
  type GrpcObject,
  type MethodDefinition,
  type ServiceClientConstructor,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import type { MethodDefinition as TypedMethod } from "@grpc/proto-loader";
import type { ControllerDefinition } from "../../proto/gen/csi/v1/Controller.js";
import type { GroupControllerDefinition } from "../../proto/gen/csi/v1/GroupController.js";
import type { IdentityDefinition } from "../../proto/gen/csi/v1/Identity.js";
import type { NodeDefinition } from "../../proto/gen/csi/v1/Node.js";
import type { SnapshotMetadataDefinition } from "../../proto/gen/csi/v1/SnapshotMetadata.js";
import { loadCsi } from "./grpc.js";

/** Every CSI service, by name, with its methods' generated types. */
interface Services {
  Identity: IdentityDefinition;
  Controller: ControllerDefinition;
  GroupController: GroupControllerDefinition;
  SnapshotMetadata: SnapshotMetadataDefinition;
  Node: NodeDefinition;
}

export type ServiceName = keyof Services;
export type MethodName<S extends ServiceName> = Exclude<keyof Services[S], symbol | number>;
type RequestOf<D> = D extends TypedMethod<infer I, infer _O, infer _R, infer _P> ? I : never;
type ResponseOf<D> = D extends TypedMethod<infer _I, infer _O, infer _R, infer P> ? P : never;
export type CsiRequest<S extends ServiceName, M extends MethodName<S>> = RequestOf<Services[S][M]>;
export type CsiResponse<S extends ServiceName, M extends MethodName<S>> = ResponseOf<Services[S][M]>;

/** A CSI call that was answered with an error, or not at all. `code` is gRPC's name for it: NOT_FOUND, ABORTED ... */
export class CsiCallError extends Error {
  readonly code: keyof typeof status;

  constructor(
    readonly rpc: string,
    cause: ServiceError,
  ) {
    super(`${rpc}: ${status[cause.code]}: ${cause.details}`, { cause });
    this.name = "CsiCallError";
    this.code = (status[cause.code] ?? "UNKNOWN") as keyof typeof status;
    this.details = cause.details;
  }
  readonly details: string;
}

const DEFAULT_DEADLINE_MS = 60_000;

/** One connection to a CSI socket, with typed calls. */
export class CsiClient {
  readonly #client: Client;
  readonly #v1: GrpcObject;

  /** `endpoint` is `unix:///path.sock`. Connects with the first call. */
  constructor(readonly endpoint: string) {
    // The default authority would be the socket's escaped path, which some servers refuse.
    this.#client = new Client(endpoint, credentials.createInsecure(), { "grpc.default_authority": "localhost" });
    this.#v1 = (loadCsi().csi as GrpcObject).v1 as GrpcObject;
  }

  /** @throws CsiCallError */
  call<S extends ServiceName, M extends MethodName<S>>(
    service: S,
    method: M,
    request: CsiRequest<S, M>,
    deadlineMs = DEFAULT_DEADLINE_MS,
  ): Promise<CsiResponse<S, M>> {
    const definition = this.#method(service, method);
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        definition.path,
        definition.requestSerialize,
        definition.responseDeserialize,
        request,
        { deadline: Date.now() + deadlineMs },
        (error, response) => {
          if (error) reject(new CsiCallError(method, error));
          else resolve(response as CsiResponse<S, M>);
        },
      );
    });
  }

  /** Every message of a server-streaming call, in order. @throws CsiCallError */
  stream<S extends ServiceName, M extends MethodName<S>>(
    service: S,
    method: M,
    request: CsiRequest<S, M>,
    deadlineMs = DEFAULT_DEADLINE_MS,
  ): Promise<CsiResponse<S, M>[]> {
    const definition = this.#method(service, method);
    return new Promise((resolve, reject) => {
      const messages: CsiResponse<S, M>[] = [];
      this.#client
        .makeServerStreamRequest(
          definition.path,
          definition.requestSerialize,
          definition.responseDeserialize,
          request,
          { deadline: Date.now() + deadlineMs },
        )
        .on("data", (message) => messages.push(message as CsiResponse<S, M>))
        .on("error", (error: ServiceError) => reject(new CsiCallError(method, error)))
        .on("end", () => resolve(messages));
    });
  }

  close(): void {
    this.#client.close();
  }

  #method(service: string, method: string): MethodDefinition<unknown, unknown> {
    const found = (this.#v1[service] as ServiceClientConstructor).service[method];
    if (!found) throw new Error(`proto/csi.proto has no ${service}.${method}`);
    return found as MethodDefinition<unknown, unknown>;
  }
}
