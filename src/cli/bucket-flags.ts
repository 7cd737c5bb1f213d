import { invalid } from "../errors/storage-error.js";
import { parseSize } from "../model/size.js";

export interface LimitFlags {
  quota?: string;
  objectQuota?: string;
  durability?: string;
}

export interface Limits {
  quotaBytes?: number | null | undefined;
  quotaObjects?: number | null | undefined;
  durability?: "strict" | "relaxed" | undefined;
}

export const DURABILITY_HELP =
  "strict: on disk before it is acknowledged; relaxed: up to half a minute later, so a crash of the host may damage the last objects";

/** @throws StorageError invalid-argument naming the flag */
export function limitsOf({ quota, objectQuota, durability }: LimitFlags): Limits {
  if (durability !== undefined && durability !== "strict" && durability !== "relaxed")
    throw invalid(`--durability: ${JSON.stringify(durability)} is not strict or relaxed`);
  return { quotaBytes: quotaBytes(quota), quotaObjects: quotaObjects(objectQuota), durability };
}

function quotaBytes(text: string | undefined): number | null | undefined {
  if (text === undefined) return undefined;
  if (text === "none") return null;
  const bytes = parseSize("--quota", text);
  if (bytes > BigInt(Number.MAX_SAFE_INTEGER))
    throw invalid(`--quota: ${text} is more than 8Pi, the most that is possible`);
  return Number(bytes);
}

function quotaObjects(text: string | undefined): number | null | undefined {
  if (text === undefined) return undefined;
  if (text === "none") return null;
  if (!/^\d{1,15}$/.test(text))
    throw invalid(`--object-quota: ${JSON.stringify(text)} is not a number of objects, or none`);
  return Number(text);
}
