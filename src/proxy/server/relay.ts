import type { ToWorker } from './messages.js';

/** A worker answers another one's question within this time, or is left out. */
const ANSWER_TIMEOUT_MS = 1000;

interface Receiver {
  postMessage(message: ToWorker): void;
}

interface Question {
  readonly answers: unknown[];
  /** Workers that were asked. */
  readonly asked: number;
  finish(): void;
}

/** Carries questions from one worker to all, and their answers back. */
export class WorkerRelay {
  private readonly questions = new Map<number, Question>();
  private next = 0;

  /** @param workers by their numbers; one that has died and is not replaced yet is missing */
  constructor(private readonly workers: readonly (Receiver | undefined)[]) {}

  /** A worker has a question, or, without an `id`, something to tell. */
  ask(asker: number, id: number | undefined, kind: string, payload: unknown): void {
    const all = this.workers.filter((worker) => worker !== undefined);
    if (id === undefined) {
      for (const worker of all) worker.postMessage({ type: 'asked', kind, payload });
      return;
    }
    const number = this.next++;
    const answers: unknown[] = [];
    // The one that comes after a dead one has questions of its own.
    const receiver = this.workers[asker];
    const finish = () => {
      clearTimeout(timer);
      this.questions.delete(number);
      if (this.workers[asker] === receiver) receiver?.postMessage({ type: 'answers', id, answers });
    };
    const timer = setTimeout(finish, ANSWER_TIMEOUT_MS);
    this.questions.set(number, { answers, asked: all.length, finish });
    for (const worker of all) worker.postMessage({ type: 'asked', id: number, kind, payload });
  }

  /** The main thread has a question: what the workers say, in no order; fewer when one does not answer in time. */
  question(kind: string, payload: unknown): Promise<unknown[]> {
    return new Promise((resolve) => {
      const all = this.workers.filter((worker) => worker !== undefined);
      const number = this.next++;
      const answers: unknown[] = [];
      const finish = () => {
        clearTimeout(timer);
        this.questions.delete(number);
        resolve(answers);
      };
      const timer = setTimeout(finish, ANSWER_TIMEOUT_MS);
      this.questions.set(number, { answers, asked: all.length, finish });
      for (const worker of all) worker.postMessage({ type: 'asked', id: number, kind, payload });
      if (all.length === 0) finish();
    });
  }

  /** A worker has answered. */
  answered(number: number, answer: unknown): void {
    const question = this.questions.get(number);
    if (question === undefined) return;
    question.answers.push(answer);
    if (question.answers.length >= question.asked) question.finish();
  }
}
