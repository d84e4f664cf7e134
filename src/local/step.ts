/** Work in steps, so that whoever calls a service can show them. The service itself knows no terminal. */

export interface StepReporter {
  /** Replaces the step's title. */
  title(text: string): void;
  /** What the step is doing at the moment. */
  note(text: string): void;
}

export interface Step {
  title: string;
  run: (context: unknown, report: StepReporter) => Promise<void>;
  /** A reason to skip the step, decided when its turn comes. */
  skip?: () => string | false;
}

/** Runs the steps in order and ends with the first that fails. */
export type RunSteps = (steps: Step[]) => Promise<unknown>;
