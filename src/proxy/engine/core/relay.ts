/** Serves one kind of question from the workers, this one among them; plain data in and out. */
export type Answerer = (payload: unknown) => unknown;

/** What the workers of a proxy ask and tell each other (`Runtime.ask`, `Runtime.tell`), as it arrives at one of them. */
export class Relay {
  private readonly answerers = new Map<string, Answerer>();

  /** Registers who serves a kind of question. There is one for each. */
  on(kind: string, answerer: Answerer): void {
    this.answerers.set(kind, answerer);
  }

  /** What this worker says to a question; undefined for a kind that nobody serves. */
  answer(kind: string, payload: unknown): unknown {
    return this.answerers.get(kind)?.(payload);
  }
}
