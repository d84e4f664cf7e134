import type { ToWorker } from './messages.js';

/** A worker answers another one's question within this time, or is left out. */
const ANSWER_TIMEOUT_MS = 1000;

interface Question {
  readonly answers: unknown[];
  finish(): void;
}

/** Carries questions from one worker to all, and their answers back. */
export class WorkerRelay {
  private readonly questions = new Map<number, Question>();
  private next = 0;

  constructor(private readonly workers: readonly { postMessage(message: ToWorker): void }[]) {}

  /** A worker has a question, or, without an `id`, something to tell. */
  ask(asker: number, id: number | undefined, kind: string, payload: unknown): void {
    if (id === undefined) {
      for (const worker of this.workers) worker.postMessage({ type: 'asked', kind, payload });
      return;
    }
    const number = this.next++;
    const answers: unknown[] = [];
    const finish = () => {
      clearTimeout(timer);
      this.questions.delete(number);
      this.workers[asker].postMessage({ type: 'answers', id, answers });
    };
    const timer = setTimeout(finish, ANSWER_TIMEOUT_MS);
    this.questions.set(number, { answers, finish });
    for (const worker of this.workers) worker.postMessage({ type: 'asked', id: number, kind, payload });
  }

  /** A worker has answered. */
  answered(number: number, answer: unknown): void {
    const question = this.questions.get(number);
    if (question === undefined) return;
    question.answers.push(answer);
    if (question.answers.length >= this.workers.length) question.finish();
  }
}
