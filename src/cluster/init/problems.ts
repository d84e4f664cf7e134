/** Everything that is wrong with the nodes, told at once: an operator fixes all of it in one go. */
import { type ErrorKind, ForgeError } from '../../errors.js';

export interface Problem {
  readonly node: string;
  readonly kind: ErrorKind;
  /** What is wrong, without the node's name: `holds 3 keys`. */
  readonly text: string;
  readonly next?: readonly string[];
}

/** Which kind the whole failure has when the nodes' differ: what must be fixed first. */
const PRECEDENCE: readonly ErrorKind[] = ['usage', 'denied', 'unreachable', 'timeout', 'verification', 'refused'];
const SHOWN_MAX = 50;

/** The failure of reaching one node as a problem. */
export function problemFrom(node: string, error: unknown): Problem {
  if (!(error instanceof ForgeError)) throw error;
  const text = error.message.startsWith(node) ? error.message.slice(node.length).replace(/^:? /, '') : error.message;
  return { node, kind: error.kind, text: text.replace(/\.$/, ''), next: error.next };
}

/** Throws one ForgeError that names every node with a problem; returns when there is none. */
export function throwProblems(problems: readonly Problem[], nodeCount: number): void {
  const [first] = problems;
  if (first === undefined) return;
  const kinds = new Set(problems.map(({ kind }) => kind));
  const kind = PRECEDENCE.find((candidate) => kinds.has(candidate)) ?? first.kind;
  const nodes = new Set(problems.map(({ node }) => node));
  const shown = problems.slice(0, SHOWN_MAX).map(({ node, text }) => `${node} ${text}`);
  if (problems.length > SHOWN_MAX) shown.push(`and ${problems.length - SHOWN_MAX} more`);
  const message =
    problems.length === 1
      ? `${first.node} ${first.text}.`
      : `${nodes.size} of ${nodeCount} nodes cannot be used:\n${shown.map((line) => `  ${line}`).join('\n')}`;
  throw new ForgeError(kind, message, {
    host: problems.find((problem) => problem.kind === kind)?.node,
    next: [...new Set(problems.flatMap(({ next = [] }) => next))].slice(0, 5),
    details: { problems: problems.map(({ node, kind, text }) => ({ node, kind, text })) },
  });
}
