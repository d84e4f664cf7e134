/** Who has the port that a container should have had. */
import { listContainerNames } from '../../docker/commands/container.js';
import { isLocal } from '../../docker/endpoint.js';
import type { DockerEngine } from '../../docker/engine.js';
import { failureReason } from '../../docker/failure.js';
import { ForgeError } from '../../errors.js';
import { describeHolder, findPortHolder } from '../ports.js';

/** The same error, and for a port that is in use one that names the container or the process that has it. */
export async function explainTakenPort(engine: DockerEngine, error: unknown): Promise<unknown> {
  if (!(error instanceof ForgeError) || failureReason(error) !== 'port-taken') return error;
  const port = Number(error.details?.['port']);
  const holder = await findHolder(engine, port);
  if (holder === undefined) return error;
  const { endpoint } = engine;
  return new ForgeError(error.kind, `Port ${port} of ${endpoint.name} is in use by ${holder}.`, {
    host: endpoint.name,
    next: 'Stop it, or choose another port.',
    details: { ...error.details, holder },
    cause: error,
  });
}

async function findHolder(engine: DockerEngine, port: number): Promise<string | undefined> {
  const names = await engine.run(listContainerNames('status=running', `publish=${port}`)).catch(() => '');
  const container = names.split('\n')[0];
  if (container !== undefined && container !== '') return `the container ${container}`;
  if (!isLocal(engine.endpoint)) return undefined;
  const holder = await findPortHolder(port);
  return holder === undefined ? undefined : describeHolder(holder);
}
