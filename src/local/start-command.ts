/** How a node of a local cluster that was ended comes back. */
import { packageFile } from '../package-root.js';

/** The program with its arguments that starts what is missing of the cluster, as `forge up` does. */
export const startCommandOf = (name: string): string[] => [
  process.execPath,
  packageFile('bin', 'run.js'),
  ...['up', '--name', name, '--quiet'],
];
