/** A number is given to another only this long after its owner has left: what is on its way may still mean the old one. */
const REST_MS = 60_000;

/** Gives small numbers to names; a name keeps its number. */
export class Numbers {
  private readonly given = new Map<string, number>();
  private readonly resting: { readonly number: number; readonly sinceMs: number }[] = [];
  /** One more than the highest number that was ever given. */
  end = 0;

  /** @param max numbers are below it */
  constructor(private readonly max: number) {}

  /** @throws when no number is free */
  of(name: string): number {
    const known = this.given.get(name);
    if (known !== undefined) return known;
    const number = this.take();
    this.given.set(name, number);
    return number;
  }

  private take(): number {
    const [rested] = this.resting;
    if (rested !== undefined && performance.now() - rested.sinceMs >= REST_MS) {
      this.resting.shift();
      return rested.number;
    }
    if (this.end >= this.max) throw new Error('too many hosts have come and gone; restart the proxy');
    return this.end++;
  }

  /** Takes back the numbers of all other names. */
  keep(names: ReadonlySet<string>): void {
    for (const [name, number] of this.given) {
      if (names.has(name)) continue;
      this.given.delete(name);
      this.resting.push({ number, sinceMs: performance.now() });
    }
  }
}
