/** A deployment brings certificates to its nodes side by side: only when they may be, and nobody is cut off by that. */
import { ForgeError } from '../errors.js';
import { lookAtParties, setsOf } from './certificates-parties.js';
import { certificateFiles, observedCertificateFiles } from './certificates-plan.js';
import { type InstallOptions, orderCertificates, refuseUnusable } from './certificates-prepare.js';
import type { DesiredContainer } from './container.js';
import type { DeployAction } from './plan.js';

/**
 * @param actions what is about to be done
 * @throws ForgeError `configuration` for certificates that cannot be used, by node; `refused` where they must be given out in
 *   an order, or would cut nodes off
 */
export async function guardCertificates(options: InstallOptions, actions: readonly DeployAction[]): Promise<void> {
  const changing = new Set(actions.filter(changesCertificates).map(({ desired }) => keyOf(desired)));
  if (changing.size === 0) return;
  const { parties, unseen } = await lookAtParties(options);
  const now = options.now ?? Date.now();
  const sets = new Map(
    parties.map((party) => {
      const one = { ...party, chosen: party.chosen && changing.has(keyOf(party.desired)) };
      return [one, setsOf(one)] as const;
    }),
  );
  refuseUnusable(sets, { directory: options.directory, now });
  // One that had none spoke to nobody by them.
  const present = new Map([...sets].filter(([, { before }]) => before.shown.size > 0));
  const stages = orderCertificates(present, unseen, { directory: options.directory, now });
  if (stages.length <= 1) return;
  throw new ForgeError('refused', 'These certificates have to reach the nodes in an order, or some would be cut off.', {
    next: `Nothing was changed. Give them out first: forge gen-certs ${options.directory} --install --all`,
  });
}

const keyOf = ({ host, options }: Pick<DesiredContainer, 'host' | 'options'>): string => `${host} ${options.name}`;

function changesCertificates({ kind, desired, observed }: DeployAction): boolean {
  if (kind === 'unchanged') return false;
  const present = new Map(
    (observed === undefined ? [] : observedCertificateFiles(observed)).map((file) => [file.path, file]),
  );
  return certificateFiles(desired).some(({ path, text }) => present.get(path)?.text !== text);
}
