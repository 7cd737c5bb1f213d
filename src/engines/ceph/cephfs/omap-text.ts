/**
 * What `rados getomapval` and `listomapvals` print, which have no JSON: keys on lines of their own, values as hexdump.
 *
 *   volume-key
 *   value (12 bytes) :
 *   00000000  7b 22 76 22 3a 31 7d 0a  7b 22 76 22              |{"v":1}.{"v"|
 *   0000000c
 *   (an empty line)
 */
const VALUE = /^value \((\d+) bytes\) :$/;
// hexdump repeats: a line like the one before it is a single star.
const BYTES = /^([0-9a-f]{8,}) {2}((?:[0-9a-f]{2} {1,2}){1,16})/;
const END = /^([0-9a-f]{8,})$/;

/** The bytes of one hexdump, whose first line is the one after `value (N bytes) :`. */
function bytesOf(lines: readonly string[], lengthBytes: number): Buffer {
  const bytes = Buffer.alloc(lengthBytes);
  let at = 0;
  let last: Buffer = Buffer.alloc(0);
  const repeatTo = (offset: number) => {
    for (; at < offset && last.length > 0; at += last.length) last.copy(bytes, at);
  };
  for (const line of lines) {
    const data = BYTES.exec(line);
    const end = END.exec(line);
    if (data) {
      repeatTo(Number.parseInt(data[1] as string, 16));
      last = Buffer.from((data[2] as string).replaceAll(" ", ""), "hex");
      last.copy(bytes, at);
      at += last.length;
    } else if (end) repeatTo(Number.parseInt(end[1] as string, 16));
  }
  if (at !== lengthBytes) throw new Error(`a value of ${lengthBytes} bytes was printed as ${at}`);
  return bytes;
}

/** Values by key; of `getomapval`, whose output has no key, the one value under "". */
export function parseOmap(text: string): Map<string, Buffer> {
  const values = new Map<string, Buffer>();
  const lines = text.split("\n");
  let key = "";
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i] as string;
    const value = VALUE.exec(line);
    if (!value) {
      if (line !== "") key = line;
      continue;
    }
    const from = i + 1;
    while (i + 1 < lines.length && lines[i + 1] !== "") i++;
    values.set(key, bytesOf(lines.slice(from, i + 1), Number(value[1])));
    key = "";
  }
  return values;
}
