import type { NewKeyView } from "../../objectstore/admin/views.js";

export const SECRET_NOTE = "Keep the secret key: it is not shown again.\n";

/** A key that was just made. */
export const keyRows = ({ accessKey, secretKey }: NewKeyView): [string, string][] => [
  ["access key", accessKey],
  ["secret key", secretKey],
];

/** `-` reads stdin, so that the secret is in no process list and no shell history. */
export async function readSecret(flag: string | undefined): Promise<string | undefined> {
  if (flag !== "-") return flag;
  process.stdin.setEncoding("utf8");
  let text = "";
  for await (const part of process.stdin as AsyncIterable<string>) text += part;
  return text.replace(/\r?\n$/, "");
}
