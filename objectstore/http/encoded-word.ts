const NOT_PRINTABLE_ASCII = /[^\x20-\x7e]/;
const NOT_PRINTABLE_EACH = /[^\x20-\x7e]/g;
const OPEN_Q = "=?UTF-8?Q?";
const OPEN_B = "=?UTF-8?B?";
const CLOSE = "?=";
/** RFC 2047, 2: an encoded word has at most 75 characters; what is in it, so many. */
const WORD_LENGTH = 75 - OPEN_Q.length - CLOSE.length;
const WORD_BYTES = Math.floor(WORD_LENGTH / 4) * 3;

/** The Q encoding of a byte: a blank is `_`, and what has a meaning in a word is escaped. */
const Q: readonly string[] = Array.from({ length: 256 }, (_none, byte) => {
  if (byte === 0x20) return "_";
  const plain = byte > 0x20 && byte < 0x7f && !"=_?".includes(String.fromCharCode(byte));
  return plain ? String.fromCharCode(byte) : `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
});

function quoted(character: string): string {
  let text = "";
  for (const byte of Buffer.from(character, "utf8")) text += Q[byte];
  return text;
}

/** Words of pieces of the text: one ends between two characters, never inside of one. */
function words(
  value: string,
  open: string,
  limit: number,
  lengthOf: (character: string) => number,
  wrap: (text: string) => string,
): string {
  const made: string[] = [];
  let text = "";
  let length = 0;
  for (const character of value) {
    const more = lengthOf(character);
    if (length + more > limit) {
      made.push(open + wrap(text) + CLOSE);
      text = "";
      length = 0;
    }
    text += character;
    length += more;
  }
  made.push(open + wrap(text) + CLOSE);
  // Blanks between two encoded words are not part of the text.
  return made.join(" ");
}

/**
 * A value of user metadata as a header can carry it: printable ASCII as it is, anything else (line ends too, which would
 * end the header) as RFC 2047 encoded words in UTF-8 (user guide, "Working with object metadata"). Mostly ASCII is Q
 * encoded and the rest B, as Amazon does. Node refuses to send what is above latin1.
 */
export function encodeWords(value: string): string {
  if (!NOT_PRINTABLE_ASCII.test(value)) return value;
  const others = value.match(NOT_PRINTABLE_EACH)?.length ?? 0;
  if (value.length - others > others) {
    return words(
      value,
      OPEN_Q,
      WORD_LENGTH,
      (character) => quoted(character).length,
      (text) => [...text].map(quoted).join(""),
    );
  }
  return words(
    value,
    OPEN_B,
    WORD_BYTES,
    (character) => Buffer.byteLength(character, "utf8"),
    (text) => Buffer.from(text, "utf8").toString("base64"),
  );
}

const WORD = /=\?(utf-8|us-ascii|iso-8859-1)\?([bq])\?([^? ]*)\?=/gi;
const BETWEEN_WORDS = /(\?=)[ \t]+(?==\?)/g;

function decodeWord(whole: string, charset: string, encoding: string, text: string): string {
  const latin1 = encoding.toLowerCase() === "b" ? fromBase64(text) : fromQuoted(text);
  if (latin1 === undefined) return whole;
  return /^utf-8$/i.test(charset) ? Buffer.from(latin1, "latin1").toString("utf8") : latin1;
}

function fromBase64(text: string): string | undefined {
  return /^[A-Za-z0-9+/]*={0,2}$/.test(text) ? Buffer.from(text, "base64").toString("latin1") : undefined;
}

function fromQuoted(text: string): string | undefined {
  if (/=(?![0-9a-f]{2})/i.test(text)) return undefined;
  return text
    .replaceAll("_", " ")
    .replace(/=([0-9a-f]{2})/gi, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** The text of a value in which a client encoded words, as Amazon keeps it; what is no such word stays as it is. */
export function decodeWords(value: string): string {
  if (!value.includes("=?")) return value;
  return value.replace(BETWEEN_WORDS, "$1").replace(WORD, decodeWord);
}

const NOT_A_HEADER_VALUE = /[^\t\x20-\x7e\x80-\xff]/;
const NOT_A_HEADER_VALUE_EACH = /[^\t\x20-\x7e\x80-\xff]/gu;

/** Whether Node can send it as it is: latin1 without control characters. */
export function isHeaderValue(value: string): boolean {
  return !NOT_A_HEADER_VALUE.test(value);
}

/** The same value with a blank for each character that no header can carry. */
export function toHeaderValue(value: string): string {
  return isHeaderValue(value) ? value : value.replace(NOT_A_HEADER_VALUE_EACH, " ");
}
