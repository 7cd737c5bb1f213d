import { unpack } from "msgpackr";
import type { WritePreconditions } from "../../object-engine.js";
import { readU64, writeU64 } from "./codec.js";
import { SEQUENCE_BYTES } from "./keys.js";
import type { Decided, PutRequest, ToClient, ToWriter } from "./protocol.js";
import { ID_RANDOM_BYTES } from "./records.js";

/**
 * A put and its reply, laid out by hand: they are most of what a busy store sends, and msgpack looks through a body for
 * strings before it hands it out. Their first byte is none that msgpack's arrays begin with.
 *
 *   put     0x01, call (4), key's length (2), record's (4), inline body's (4; all ones: none), key, record, body,
 *           and the preconditions as msgpack where there are any
 *   reply   0x02, call (4), sequence (8), modified, ms (6), random (8) unless it is the null version
 */
const PUT = 0x01;
const DECIDED = 0x02;
const PUT_HEAD_BYTES = 15;
const DECIDED_BYTES = 1 + 4 + SEQUENCE_BYTES + 6;
const NO_BODY = 0xffff_ffff;

export function putBytes({ key, record, inline }: PutRequest, preconditions: Buffer | undefined): number {
  return PUT_HEAD_BYTES + key.length + record.length + (inline?.length ?? 0) + (preconditions?.length ?? 0);
}

export function writePut(
  target: Buffer,
  start: number,
  call: number,
  { key, record, inline }: PutRequest,
  preconditions: Buffer | undefined,
): void {
  target[start] = PUT;
  target.writeUInt32BE(call, start + 1);
  target.writeUInt16BE(key.length, start + 5);
  target.writeUInt32BE(record.length, start + 7);
  target.writeUInt32BE(inline?.length ?? NO_BODY, start + 11);
  let at = start + PUT_HEAD_BYTES;
  target.set(key, at);
  at += key.length;
  target.set(record, at);
  at += record.length;
  if (inline) {
    target.set(inline, at);
    at += inline.length;
  }
  if (preconditions) target.set(preconditions, at);
}

const NO_PRECONDITIONS: WritePreconditions = Object.freeze({});

/** Buffers are views of the message. */
export function readPut(message: Buffer): ToWriter | undefined {
  if (message[0] !== PUT) return undefined;
  const keyEnd = PUT_HEAD_BYTES + message.readUInt16BE(5);
  const recordEnd = keyEnd + message.readUInt32BE(7);
  const inlineBytes = message.readUInt32BE(11);
  const inlineEnd = recordEnd + (inlineBytes === NO_BODY ? 0 : inlineBytes);
  const request: PutRequest = {
    key: message.subarray(PUT_HEAD_BYTES, keyEnd),
    record: message.subarray(keyEnd, recordEnd),
    inline: inlineBytes === NO_BODY ? null : message.subarray(recordEnd, inlineEnd),
    preconditions: inlineEnd === message.length ? NO_PRECONDITIONS : unpack(message.subarray(inlineEnd)),
  };
  return [message.readUInt32BE(1), "put", request];
}

export const decidedBytes = ({ random }: Decided): number => DECIDED_BYTES + (random ? ID_RANDOM_BYTES : 0);

export function writeDecided(target: Buffer, start: number, call: number, decided: Decided): void {
  target[start] = DECIDED;
  target.writeUInt32BE(call, start + 1);
  writeU64(target, decided.sequence, start + 5);
  target.writeUIntBE(decided.modifiedMs, start + 5 + SEQUENCE_BYTES, 6);
  if (decided.random) target.set(decided.random, start + DECIDED_BYTES);
}

export function readDecided(message: Buffer): ToClient | undefined {
  if (message[0] !== DECIDED) return undefined;
  const decided: Decided = {
    sequence: readU64(message, 5),
    modifiedMs: message.readUIntBE(5 + SEQUENCE_BYTES, 6),
    random: message.length > DECIDED_BYTES ? message.subarray(DECIDED_BYTES) : null,
  };
  return [message.readUInt32BE(1), "ok", decided];
}
