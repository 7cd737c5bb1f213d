/**
 * Wildcard patterns: `*` for any run of characters, `?` for one. A match costs time in the length of the text times a 32nd
 * of the pattern's, whatever the pattern is: it is the caller who writes both, and nothing here goes back in the text.
 */

export const STAR = Symbol("*");
export const ANY = Symbol("?");

export type GlobToken = string | typeof STAR | typeof ANY;

export type Matcher = (text: string) => boolean;

/** A pattern's text as tokens, without a meaning for anything but `*` and `?`. */
export function globTokens(pattern: string): GlobToken[] {
  const tokens: GlobToken[] = [];
  let from = 0;
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at];
    if (character !== "*" && character !== "?") continue;
    if (at > from) tokens.push(pattern.slice(from, at));
    tokens.push(character === "*" ? STAR : ANY);
    from = at + 1;
  }
  if (from < pattern.length) tokens.push(pattern.slice(from));
  return tokens;
}

/** The literals between the stars. */
function segmentsOf(tokens: readonly GlobToken[]): string[] {
  const segments = [""];
  for (const token of tokens) {
    if (token === STAR) segments.push("");
    else segments[segments.length - 1] += token as string;
  }
  return segments;
}

function bySegments(segments: readonly string[]): Matcher {
  const first = segments[0] ?? "";
  const last = segments.at(-1) ?? "";
  if (segments.length === 1) return (text) => text === first;
  const middle = segments.slice(1, -1).filter((segment) => segment !== "");
  const least = first.length + last.length;
  if (middle.length === 0) {
    if (last === "") return (text) => text.startsWith(first);
    return (text) => text.length >= least && text.startsWith(first) && text.endsWith(last);
  }
  return (text) => {
    if (text.length < least || !text.startsWith(first) || !text.endsWith(last)) return false;
    const end = text.length - last.length;
    let at = first.length;
    for (const segment of middle) {
      // The leftmost place leaves the most for the segments that follow.
      const found = text.indexOf(segment, at);
      if (found < 0) return false;
      at = found + segment.length;
    }
    return at <= end;
  };
}

/**
 * A bit for each count of matched characters, all moved at once (bit-parallel simulation of the nondeterministic
 * automaton, Baeza-Yates and Gonnet). By code points: `?` takes an emoji whole.
 */
function byBits(tokens: readonly GlobToken[]): Matcher {
  const characters: (number | typeof ANY)[] = [];
  const loops = new Set<number>();
  for (const token of tokens) {
    if (token === STAR) loops.add(characters.length);
    else if (token === ANY) characters.push(ANY);
    else for (const character of token) characters.push(character.codePointAt(0) ?? 0);
  }
  const words = (characters.length >> 5) + 1;
  const set = (bits: Uint32Array, bit: number) => {
    bits[bit >> 5] = (bits[bit >> 5] ?? 0) | (1 << (bit & 31));
  };
  const anyMask = new Uint32Array(words);
  characters.forEach((character, bit) => {
    if (character === ANY) set(anyMask, bit);
  });
  const masks = new Map<number, Uint32Array>();
  characters.forEach((character, bit) => {
    if (character === ANY) return;
    let mask = masks.get(character);
    if (!mask) {
      mask = anyMask.slice();
      masks.set(character, mask);
    }
    set(mask, bit);
  });
  const loopMask = new Uint32Array(words);
  for (const bit of loops) set(loopMask, bit);
  const end = characters.length;

  return (text) => {
    const state = new Uint32Array(words);
    state[0] = 1;
    for (let at = 0; at < text.length; at++) {
      const point = text.codePointAt(at) ?? 0;
      if (point > 0xffff) at += 1;
      const mask = masks.get(point) ?? anyMask;
      let carry = 0;
      let alive = 0;
      for (let word = 0; word < words; word++) {
        const before = state[word] ?? 0;
        const moved = before & (mask[word] ?? 0);
        const after = (moved << 1) | carry | (before & (loopMask[word] ?? 0));
        carry = moved >>> 31;
        state[word] = after;
        alive |= after;
      }
      if (alive === 0) return false;
    }
    return ((state[end >> 5] ?? 0) & (1 << (end & 31))) !== 0;
  };
}

/** Whether the whole text matches. */
export function globMatcher(tokens: readonly GlobToken[]): Matcher {
  return tokens.includes(ANY) ? byBits(tokens) : bySegments(segmentsOf(tokens));
}

/** Whether some text that begins with `start` matches; for checks of a document, not of requests. */
export function globCanBegin(tokens: readonly GlobToken[], start: string): boolean {
  const flat: GlobToken[] = [];
  for (const token of tokens) {
    if (typeof token === "string") flat.push(...token);
    else flat.push(token);
  }
  let alive = new Set([0]);
  const spread = (states: Set<number>) => {
    for (const state of states) if (flat[state] === STAR) states.add(state + 1);
    return states;
  };
  alive = spread(alive);
  for (const character of start) {
    const next = new Set<number>();
    for (const state of alive) {
      const token = flat[state];
      if (token === STAR) next.add(state);
      else if (token === ANY || token === character) next.add(state + 1);
    }
    alive = spread(next);
  }
  return alive.size > 0;
}
