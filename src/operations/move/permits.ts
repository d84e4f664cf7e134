/** So many at once, the others in the order in which they came. */
export class Permits {
  readonly #count: number;
  #free: number;
  readonly #waiting: { readonly permits: number; readonly begin: () => void }[] = [];

  constructor(count: number) {
    this.#count = count;
    this.#free = count;
  }

  /** @param permits that the work takes; no more than there are */
  async with<Result>(work: () => Promise<Result>, permits = 1): Promise<Result> {
    const taken = Math.min(permits, this.#count);
    if (this.#waiting.length === 0 && this.#free >= taken) this.#free -= taken;
    else await new Promise<void>((begin) => this.#waiting.push({ permits: taken, begin }));
    try {
      return await work();
    } finally {
      this.#free += taken;
      this.#next();
    }
  }

  #next(): void {
    for (let [next] = this.#waiting; next !== undefined && next.permits <= this.#free; [next] = this.#waiting) {
      this.#waiting.shift();
      this.#free -= next.permits;
      next.begin();
    }
  }
}
