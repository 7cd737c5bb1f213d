import type { IncomingMessage } from "node:http";
import type { TLSSocket } from "node:tls";
import type { S3Request } from "../types.js";
import { parseTarget } from "./target.js";

/**
 * The request of a message: its target taken apart, its headers as the wire had them. Node's own table of headers drops
 * repeated ones and folds others, so the raw list is read (RFC 9110 section 5.3: repeated fields join with commas).
 *
 * @throws S3Error InvalidURI, KeyTooLongError
 */
export function parseRequest(
  message: IncomingMessage,
  known: { id: string; domains: readonly string[]; clientAddress: string },
): S3Request {
  const headers = new Map<string, string>();
  const raw = message.rawHeaders;
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    const value = raw[i + 1] as string;
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  const target = parseTarget(message.url ?? "", headers.get("host") ?? "", known.domains);
  return {
    id: known.id,
    method: message.method ?? "",
    rawPath: target.rawPath,
    rawQuery: target.rawQuery,
    bucket: target.bucket,
    key: target.key,
    virtualHosted: target.virtualHosted,
    query: target.query,
    headers,
    clientAddress: known.clientAddress,
    secure: (message.socket as Partial<TLSSocket>).encrypted === true,
    message,
  };
}
