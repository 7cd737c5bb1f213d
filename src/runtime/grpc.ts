import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  type GrpcObject,
  loadPackageDefinition,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import type { Logger } from "pino";
import { toGrpcFailure } from "../errors/grpc-status.js";
import { StorageError } from "../errors/storage-error.js";
import type { RpcObserver } from "./metrics.js";

export interface CallContext {
  signal: AbortSignal;
  requestId: string;
  log: Logger;
  /** The request's `secrets`, which many of CSI's have. */
  secrets: Readonly<Record<string, string>>;
}

export type UnaryHandler<Request, Response> = (ctx: CallContext, request: Request) => Promise<Response>;
export type StreamHandler<Request, Response> = (ctx: CallContext, request: Request) => AsyncIterable<Response>;

/** Both from the sources and from dist/ the proto folder lies somewhere above. */
export function protoFile(name: string): string {
  for (let dir = dirname(fileURLToPath(import.meta.url)); ; dir = dirname(dir)) {
    const path = join(dir, "proto", name);
    if (existsSync(path)) return path;
    if (dir === dirname(dir)) throw new Error(`proto/${name} is missing from the installation`);
  }
}

export function loadCsi(): GrpcObject {
  return loadPackageDefinition(
    loadSync(protoFile("csi.proto"), {
      keepCase: true,
      longs: String,
      enums: String,
      defaults: true,
      oneofs: true,
      bytes: Buffer,
    }),
  );
}

// A client without a deadline still gets one: no child process may outlive every interest in it.
const DEFAULT_DEADLINE_MS = 10 * 60_000;

function contextOf(
  call: { getDeadline(): Date | number; getPath(): string; request: unknown },
  log: Logger,
  cancelled: AbortController,
): CallContext {
  const deadline = Number(call.getDeadline());
  const leftMs = Number.isFinite(deadline) ? Math.max(0, deadline - Date.now()) : DEFAULT_DEADLINE_MS;
  const requestId = randomUUID();
  const signal = AbortSignal.any([AbortSignal.timeout(Math.min(leftMs, 2 ** 31 - 1)), cancelled.signal]);
  const { secrets = {} } = call.request as { secrets?: Record<string, string> };
  return { signal, requestId, log: log.child({ requestId, method: call.getPath() }), secrets };
}

const unobserved: RpcObserver = () => () => undefined;

/** `/csi.v1.Node/NodeStageVolume` as metrics name it: NodeStageVolume. */
const methodOf = (call: { getPath(): string }) => call.getPath().split("/").at(-1) ?? "";

/** A gRPC method from a plain async function: deadline, request id, log line, and the error table. */
export function unary<Request, Response>(
  log: Logger,
  handler: UnaryHandler<Request, Response>,
  observe: RpcObserver = unobserved,
) {
  return (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>): void => {
    const cancelled = new AbortController();
    call.on("cancelled", () => cancelled.abort());
    const ctx = contextOf(call, log, cancelled);
    const startMs = Date.now();
    const observed = observe(methodOf(call));
    // The handler is entered in a later turn so that a synchronous throw is a rejection too.
    Promise.resolve()
      .then(() => handler(ctx, call.request))
      .then(
        (response) => {
          ctx.log.info({ durationMs: Date.now() - startMs }, "done");
          observed("OK");
          callback(null, response);
        },
        (error: unknown) => {
          const failed = failure(ctx, error, startMs);
          observed(status[failed.code]);
          callback(failed);
        },
      );
  };
}

/** A server-streaming gRPC method from an async generator; waits for the client when it reads slowly. */
export function streaming<Request, Response>(
  log: Logger,
  handler: StreamHandler<Request, Response>,
  observe: RpcObserver = unobserved,
) {
  return (call: ServerWritableStream<Request, Response>): void => {
    const cancelled = new AbortController();
    call.on("cancelled", () => cancelled.abort());
    const ctx = contextOf(call, log, cancelled);
    const startMs = Date.now();
    const observed = observe(methodOf(call));
    const pump = async () => {
      for await (const part of handler(ctx, call.request)) {
        if (ctx.signal.aborted) throw new StorageError("cancelled", "the client went away");
        if (!call.write(part)) await new Promise<void>((resolve) => call.once("drain", resolve));
      }
    };
    pump().then(
      () => {
        observed("OK");
        call.end();
      },
      (error: unknown) => {
        const failed = failure(ctx, error, startMs);
        observed(status[failed.code]);
        call.emit("error", failed);
      },
    );
  };
}

function failure(ctx: CallContext, error: unknown, startMs: number) {
  const result = toGrpcFailure(error, ctx.requestId);
  const fields = { durationMs: Date.now() - startMs, code: status[result.code], reason: result.details };
  if (error instanceof StorageError) ctx.log.warn(fields, "refused");
  else ctx.log.error({ ...fields, err: error }, "failed");
  return { ...result, name: "Error", message: result.details };
}
