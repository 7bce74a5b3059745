const FIRST_CAPACITY = 16;

/** A first-in first-out queue in a circular array: nothing is moved, and it grows as it must. */
export class Queue<T> {
  #items: (T | undefined)[] = new Array(FIRST_CAPACITY).fill(undefined);
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(item: T): void {
    if (this.#length === this.#items.length) this.#grow();
    this.#items[(this.#head + this.#length) & (this.#items.length - 1)] = item;
    this.#length++;
  }

  peek(): T | undefined {
    return this.#items[this.#head];
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#items.length - 1);
    this.#length--;
    return item;
  }

  /** Takes out the first that fits. @returns it, if there was one */
  remove(fits: (item: T) => boolean): T | undefined {
    const items = this.clear();
    const index = items.findIndex(fits);
    items.forEach((item, i) => {
      if (i !== index) this.push(item);
    });
    return items[index];
  }

  /** Empties the queue. @returns what was in it */
  clear(): T[] {
    const items: T[] = [];
    for (let item = this.shift(); item !== undefined; item = this.shift()) items.push(item);
    return items;
  }

  #grow(): void {
    const { length } = this.#items;
    const items = new Array(length * 2).fill(undefined);
    for (let i = 0; i < length; i++) items[i] = this.#items[(this.#head + i) & (length - 1)];
    this.#items = items;
    this.#head = 0;
  }
}
