/** `1 volume`, `2 volumes`: the word as it is for one; an s is added for any other number. */
export const count = (number: number, word: string) => `${number} ${word}${number === 1 ? "" : "s"}`;
