/**
 * A secret on its way through the program. Whatever prints, logs or serializes what holds it shows a placeholder; only
 * `reveal` gives it away.
 */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return "[secret]";
  }

  toJSON(): string {
    return "[secret]";
  }

  // What console.log and util.inspect ask for.
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return "[secret]";
  }
}
