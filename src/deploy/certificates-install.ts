/** Gives certificates to what runs, has it take them, and looks whether new connections get them. */
import { certificateFacts } from '../certs/facts.js';
import type { InstallStage } from '../certs/install-order.js';
import { presentedFingerprint, waitUntilTaken } from '../certs/live.js';
import { settleBounded } from '../cluster/bounded.js';
import { ForgeError } from '../errors.js';
import type { CertificateParty } from './certificates-parties.js';
import { certificateFiles, observedCertificateFiles, takenBack } from './certificates-plan.js';
import type { ServedPort } from './certificates-ports.js';
import { clientPair, type InstallStep, type PreparedInstall, type ShownBefore } from './certificates-prepare.js';
import type { DeployObserver, ShownCommand } from './deployment.js';
import type { DeployAction } from './plan.js';

/** Containers that are given theirs at once. */
const PARTIES_AT_ONCE = 6;

export interface InstallObserver {
  stage?(stage: InstallStage, index: number, count: number): void;
  party?(name: string, state: 'begun' | 'done' | 'failed'): void;
  command?(shown: ShownCommand): void;
}

export interface CarryOutInstallOptions {
  readonly observer?: InstallObserver;
  readonly signal?: AbortSignal;
  /** How long a port may show its former certificate after the new one was taken; ten seconds when not given. */
  readonly takenMs?: number;
}

/** A port that could not be looked at from here, neither before nor after. */
export interface UnseenPort {
  readonly node: string;
  readonly what: ServedPort['what'];
  readonly host: string;
  readonly port: number;
}

/**
 * Does what was prepared. The first container goes alone: what is wrong for all of them is wrong for one only. One that does
 * not take its certificates, or shows others, gets its former ones back, and no further stage is begun.
 * @returns ports that nobody could look at
 * @throws ForgeError the only failure; `partial` where something else was done
 */
export async function carryOutInstall(
  { stages, shownBefore }: Pick<PreparedInstall, 'stages' | 'shownBefore'>,
  options: CarryOutInstallOptions = {},
): Promise<readonly UnseenPort[]> {
  const { observer = {}, signal } = options;
  const unseen = new Map<string, UnseenPort>();
  let done = 0;
  for (const [index, { stage, steps }] of stages.entries()) {
    observer.stage?.(stage, index, stages.length);
    const [first, ...others] = steps;
    const groups = done === 0 && first !== undefined ? [[first], others] : [steps];
    for (const group of groups) {
      const results = await settleBounded(group, PARTIES_AT_ONCE, async (step) => {
        signal?.throwIfAborted();
        observer.party?.(step.party.name, 'begun');
        try {
          for (const port of await give(step, shownBefore, options)) unseen.set(`${port.host} ${port.port}`, port);
          observer.party?.(step.party.name, 'done');
        } catch (error) {
          observer.party?.(step.party.name, 'failed');
          throw error;
        }
      });
      const failures = results.flatMap((result, at) =>
        result.status === 'rejected' ? [{ name: group[at]?.party.name ?? '', error: result.reason as unknown }] : [],
      );
      done += results.length - failures.length;
      if (failures.length > 0) throw failed(failures, done);
    }
  }
  return [...unseen.values()];
}

async function give(
  { party, action }: InstallStep,
  shownBefore: ShownBefore,
  options: CarryOutInstallOptions,
): Promise<UnseenPort[]> {
  const { observer = {}, signal } = options;
  const told: Pick<DeployObserver, 'command'> = observer.command === undefined ? {} : { command: observer.command };
  try {
    await party.deployment.carryOut([action], told);
  } catch (error) {
    throw await refusedBy(party, error, shownBefore, signal);
  }
  if (party.observed?.status !== 'running') return [];
  try {
    return await verify(party, action, shownBefore, options);
  } catch (error) {
    if (!(error instanceof ForgeError)) throw error;
    throw await giveBack(party, action, error, told);
  }
}

/** A refusal with what became of the node: the deployment has put its former files back, and it has never used others. */
async function refusedBy(
  party: CertificateParty,
  error: unknown,
  shownBefore: ShownBefore,
  signal?: AbortSignal,
): Promise<unknown> {
  if (!(error instanceof ForgeError) || error.kind !== 'refused') return error;
  const client = party.observed === undefined ? {} : clientPair(observedCertificateFiles(party.observed));
  const [port] = party.ports.filter((each) => shownBefore.get(each) !== undefined);
  const shown =
    port === undefined
      ? undefined
      : await presentedFingerprint({ host: port.host, port: port.port, ...client }, signal).catch(() => undefined);
  const former = port !== undefined && shown === shownBefore.get(port);
  return new ForgeError('refused', error.message, {
    host: party.name,
    next: [
      former ? `${party.name} goes on with its former certificates.` : `${party.name} has its former files again.`,
      `Its log says more: forge deploy logs ${party.desired.options.name}`,
    ],
    cause: error,
  });
}

/** @returns ports that cannot be looked at from here, as before */
async function verify(
  party: CertificateParty,
  action: DeployAction,
  shownBefore: ShownBefore,
  { signal, takenMs: withinMs }: CarryOutInstallOptions,
): Promise<UnseenPort[]> {
  const files = certificateFiles(action.desired);
  const client = clientPair(files);
  const unseen = await Promise.all(
    party.ports.map(async (port): Promise<UnseenPort[]> => {
      const text = files.find(({ path }) => path === port.file)?.text;
      if (text === undefined) return [];
      const address = { host: port.host, port: port.port, ...client };
      const { fingerprint } = certificateFacts(text);
      if (shownBefore.get(port) !== undefined) {
        await waitUntilTaken(`${party.name} (${port.what}, port ${port.port})`, {
          address,
          fingerprint,
          signal,
          withinMs,
        });
        return [];
      }
      const shown = await presentedFingerprint(address, signal).catch((error: unknown) => {
        if (error instanceof ForgeError) return undefined;
        throw error;
      });
      if (shown === fingerprint) return [];
      return [{ node: party.name, what: port.what, host: port.host, port: port.port }];
    }),
  );
  return unseen.flat();
}

/** @returns what is told: whether the former certificates are there again is part of it */
async function giveBack(
  party: CertificateParty,
  action: DeployAction,
  error: ForgeError,
  told: Pick<DeployObserver, 'command'>,
): Promise<ForgeError> {
  const back = takenBack(action);
  let outcome = 'It has its former ones again.';
  try {
    if (back !== undefined) await party.deployment.carryOut([back], told);
  } catch (fault) {
    outcome = `Its former ones could not be given back (${fault instanceof Error ? fault.message : String(fault)}).`;
  }
  return new ForgeError(error.kind, `${error.message} ${outcome}`, {
    host: party.name,
    next: [...error.next, 'Run the same command again when it is put right.'],
    ...(error.details === undefined ? {} : { details: error.details }),
    cause: error,
  });
}

function failed(failures: readonly { readonly name: string; readonly error: unknown }[], done: number): unknown {
  const fault = failures.find(({ error }) => !(error instanceof ForgeError));
  if (fault !== undefined) return fault.error;
  const errors = failures.map(({ name, error }) => ({ name, error: error as ForgeError }));
  const [first] = errors;
  const lines = errors.map(({ name, error }) => `${name} has not taken its certificates: ${error.message}`);
  return new ForgeError(
    done === 0 && errors.length === 1 ? (first?.error.kind ?? 'partial') : 'partial',
    lines.join('\n'),
    {
      host: errors.map(({ name }) => name).join(', '),
      next: [
        ...new Set(errors.flatMap(({ error }) => error.next)),
        done === 0
          ? 'Nothing else was changed.'
          : 'The others have theirs; everybody still understands everybody. The same command does the rest.',
      ],
      details: { failed: errors.map(({ name, error }) => ({ node: name, ...error.toJSON() })) },
      cause: first?.error,
    },
  );
}
