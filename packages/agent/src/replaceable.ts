/** Something that serves: it can be closed. */
export interface Closable {
  close(): Promise<void> | void;
}

/** A thing that is made anew only when what it is made of has changed. */
export class Replaceable<T extends Closable> {
  #current: { key: string; value: T } | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  get value(): T | undefined {
    return this.#current?.value;
  }

  /** Whether the thing that is there was made of `key`. */
  isMadeOf(key: unknown): boolean {
    return this.#current?.key === JSON.stringify(key);
  }

  /** Closes what is there and makes it anew, unless it was made of the same. One after the other. */
  ensure(key: unknown, make: () => Promise<T>): Promise<T> {
    return this.#inTurn(async () => {
      if (this.#current && this.isMadeOf(key)) return this.#current.value;
      await this.#closeNow();
      const value = await make();
      this.#current = { key: JSON.stringify(key), value };
      return value;
    });
  }

  close(): Promise<void> {
    return this.#inTurn(() => this.#closeNow());
  }

  async #closeNow(): Promise<void> {
    const closing = this.#current;
    this.#current = undefined;
    await closing?.value.close();
  }

  #inTurn<R>(run: () => Promise<R>): Promise<R> {
    const result = this.#turn.then(run, run);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}
