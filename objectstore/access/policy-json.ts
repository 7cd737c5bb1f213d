/**
 * JSON for policies. JSON.parse would do but for two things: of a name that is there twice it silently keeps the last, so
 * that a policy says something else than its reader sees; and its objects have a prototype.
 */

export type Json = string | number | boolean | null | readonly Json[] | JsonObject;
export type JsonObject = ReadonlyMap<string, Json>;

/** A policy needs 6. */
const MAX_DEPTH = 16;

export class JsonError extends Error {}

// Sticky: each looks at one place and never goes back.
const SPACE = /[ \t\n\r]*/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON refuses them in strings
const STRING = /"(?:[^"\\\u0000-\u001f]|\\.)*"/y;
const SCALAR = /-?\d[\d.eE+-]*|true|false|null/y;

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): Json {
    const value = this.#value(0);
    this.#space();
    if (this.#at < this.#text.length) throw this.#wrong();
    return value;
  }

  #wrong(): JsonError {
    return new JsonError(`unexpected text at character ${this.#at + 1}`);
  }

  #space(): void {
    SPACE.lastIndex = this.#at;
    SPACE.test(this.#text);
    this.#at = SPACE.lastIndex;
  }

  /** The character here, after blanks; it is passed when it is `wanted`. */
  #next(wanted: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== wanted) return false;
    this.#at += 1;
    return true;
  }

  #token(pattern: RegExp): Json {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (!match) throw this.#wrong();
    let value: Json;
    try {
      // Escapes and numbers are JSON.parse's own business.
      value = JSON.parse(match[0]) as Json;
    } catch {
      throw this.#wrong();
    }
    this.#at = pattern.lastIndex;
    return value;
  }

  #value(depth: number): Json {
    if (depth > MAX_DEPTH) throw new JsonError(`nested more than ${MAX_DEPTH} deep`);
    if (this.#next("{")) return this.#object(depth);
    if (this.#next("[")) return this.#array(depth);
    return this.#token(this.#text[this.#at] === '"' ? STRING : SCALAR);
  }

  #object(depth: number): JsonObject {
    const object = new Map<string, Json>();
    if (this.#next("}")) return object;
    do {
      this.#space();
      const name = this.#token(STRING) as string;
      if (object.has(name)) throw new JsonError(`${JSON.stringify(name.slice(0, 100))} is there twice`);
      if (!this.#next(":")) throw this.#wrong();
      object.set(name, this.#value(depth + 1));
    } while (this.#next(","));
    if (!this.#next("}")) throw this.#wrong();
    return object;
  }

  #array(depth: number): Json[] {
    const array: Json[] = [];
    if (this.#next("]")) return array;
    do array.push(this.#value(depth + 1));
    while (this.#next(","));
    if (!this.#next("]")) throw this.#wrong();
    return array;
  }
}

/**
 * JSON as maps and arrays.
 *
 * @throws JsonError, and nothing else
 */
export function parsePolicyJson(text: string): Json {
  return new Reader(text).document();
}

export function isJsonObject(value: Json | undefined): value is JsonObject {
  return value instanceof Map;
}
