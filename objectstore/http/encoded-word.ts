const NOT_PRINTABLE_ASCII = /[^\x20-\x7e]/;
const OPEN = "=?UTF-8?B?";
const CLOSE = "?=";
/** RFC 2047, 2: an encoded word has at most 75 characters, so 45 bytes in base64. */
const WORD_BYTES = Math.floor((75 - OPEN.length - CLOSE.length) / 4) * 3;

function word(text: string): string {
  return OPEN + Buffer.from(text, "utf8").toString("base64") + CLOSE;
}

/**
 * A value of user metadata as a header can carry it: printable ASCII as it is, anything else (line ends too, which would
 * end the header) as RFC 2047 encoded words in UTF-8 (user guide, "Working with object metadata"). Node refuses to send
 * what is above latin1.
 */
export function encodeWords(value: string): string {
  if (!NOT_PRINTABLE_ASCII.test(value)) return value;
  const words: string[] = [];
  let text = "";
  let bytes = 0;
  // By code point: a word ends between two characters, never inside of one.
  for (const character of value) {
    const more = Buffer.byteLength(character, "utf8");
    if (bytes + more > WORD_BYTES) {
      words.push(word(text));
      text = "";
      bytes = 0;
    }
    text += character;
    bytes += more;
  }
  words.push(word(text));
  // Blanks between two encoded words are not part of the text.
  return words.join(" ");
}

const NOT_A_HEADER_VALUE = /[^\t\x20-\x7e\x80-\xff]/;

/** Whether Node can send it as it is: latin1 without control characters. */
export function isHeaderValue(value: string): boolean {
  return !NOT_A_HEADER_VALUE.test(value);
}
