import { Writable } from "node:stream";
import { type DestinationStream, type Logger, levels, pino } from "pino";

/** Keys whose values are never written, wherever a log call puts them: CSI's secret maps and mount flags, S3's secrets. */
const SECRET_KEYS = ["secrets", "mount_flags", "mountFlags", "secret", "secretKey", "rootSecretKey", "authorization"];
const REDACTED = [...SECRET_KEYS, ...SECRET_KEYS.map((key) => `*.${key}`), ...SECRET_KEYS.map((key) => `*.*.${key}`)];

/**
 * The log of a process: one JSON object a line, or with `readable` one line for people. Lines are written before the
 * call returns, so that the last ones of a process that dies are not lost.
 */
export function openLog(options: {
  level: string;
  role: string;
  readable?: boolean;
  destination?: DestinationStream;
}): Logger {
  const { level, role, readable = process.stderr.isTTY === true } = options;
  const plain = options.destination ?? pino.destination({ dest: 2, sync: true });
  const destination = readable ? readableLines(plain) : plain;
  return pino({ level, base: { role }, redact: { paths: REDACTED, censor: "[secret]" } }, destination);
}

function readableLines(destination: DestinationStream): DestinationStream {
  return new Writable({
    decodeStrings: false,
    write(line: Buffer | string, _encoding, done) {
      destination.write(`${readableLine(String(line))}\n`);
      done();
    },
  });
}

/** pino's JSON line as `HH:MM:SS level message key=value`; a stack trace follows on lines of its own. */
export function readableLine(json: string): string {
  const { time, level, msg, role: _role, err, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const parts = [clock(Number(time)), (levels.labels[Number(level)] ?? String(level)).padEnd(5)];
  if (msg !== undefined) parts.push(String(msg));
  for (const [key, value] of Object.entries(fields)) parts.push(`${key}=${readableValue(value)}`);
  const { message, stack } = (err ?? {}) as { message?: string; stack?: string };
  if (stack === undefined && message !== undefined) parts.push(`err=${readableValue(message)}`);
  return parts.join(" ") + (stack === undefined ? "" : `\n${stack}`);
}

function clock(timeMs: number): string {
  const date = new Date(timeMs);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":");
}

function readableValue(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  // Quoted where it would not be seen to be one value, or would break the line.
  return typeof value === "string" && /[\s"=\p{Cc}]|^$/u.test(text) ? JSON.stringify(text) : text;
}
