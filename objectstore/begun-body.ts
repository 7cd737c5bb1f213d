/** A body whose first piece is there. */
export interface BegunBody {
  readonly pieces: AsyncIterable<Buffer>;
  /** Lets go of the pieces, also where nobody has asked for one. May be called twice. */
  end(): void;
}

/**
 * Waits for the first piece, so that what fails before any byte is sent is answered with an error's status, and not by a
 * connection that is cut.
 *
 * @throws what the first piece throws
 */
export async function begunBody(pieces: AsyncIterable<Buffer>): Promise<BegunBody> {
  const iterator = pieces[Symbol.asyncIterator]();
  let first: IteratorResult<Buffer> | undefined = await iterator.next();
  const end = async (): Promise<IteratorResult<Buffer>> => {
    first = undefined;
    await iterator.return?.();
    return { value: undefined, done: true };
  };
  const begun: AsyncIterator<Buffer> = {
    next() {
      if (first === undefined) return iterator.next();
      const given = first;
      first = undefined;
      return Promise.resolve(given);
    },
    return: end,
  };
  return { pieces: { [Symbol.asyncIterator]: () => begun }, end: () => void end().catch(() => undefined) };
}
