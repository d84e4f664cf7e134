/** The smoke test of a local cluster: of its endpoint, or of its first node where there is no proxy. */
import { LOOPBACK } from './nodes.js';
import type { Secrets } from './secrets.js';
import type { ClusterState } from './state.js';
import type { StepReporter } from './step.js';

export interface LocalSmokeOptions {
  state: ClusterState;
  secrets: Secrets;
  report: StepReporter;
  signal?: AbortSignal;
}

/** @throws ForgeError of the first step that failed */
export async function smokeTestLocal({ state, secrets, report, signal }: LocalSmokeOptions): Promise<void> {
  // Loaded only here: most runs of `forge up` start nothing and test nothing.
  const { runSmokeTest, smokeFailure } = await import('../smoke/run.js');
  const { proxy } = state;
  const result = await runSmokeTest(
    proxy === null
      ? { host: LOOPBACK, port: state.nodePorts[0] as number, username: 'app', password: secrets.app, signal }
      : {
          host: LOOPBACK,
          port: proxy.port,
          password: secrets.endpoint,
          admin: { host: LOOPBACK, port: proxy.adminPort },
          signal,
        },
  );
  const failure = smokeFailure(result);
  if (failure !== undefined) throw failure;
  const passed = result.steps.filter(({ status }) => status === 'passed').length;
  report.title(`Smoke test: ${passed} checks passed in ${(result.durationMs / 1000).toFixed(1)} s`);
}
