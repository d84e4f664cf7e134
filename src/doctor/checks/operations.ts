/** Changes of a cluster that were begun on this machine and are not finished. */
import { operationPaths } from '../../operations/home.js';
import { listOperations } from '../../operations/journal/journal.js';
import { describeUnfinished, isAtWork } from '../../operations/unfinished.js';
import { type DoctorFinding, pass, warning } from '../finding.js';

export async function checkOperations(): Promise<DoctorFinding[]> {
  const open = (await listOperations(operationPaths().journals)).filter(({ result }) => result === undefined);
  const working = await Promise.all(open.map(isAtWork));
  const left = open.filter((_, index) => working[index] !== true).map(describeUnfinished);
  if (left.length === 0) return [pass('operations', 'this machine', 'no operation is unfinished')];
  return left.map(({ operationId, operation, startedAt }) =>
    warning(
      'operations',
      operationId,
      `forge ${operation} of ${startedAt} is unfinished`,
      `forge resume ${operationId}, or forge rollback ${operationId}`,
    ),
  );
}
