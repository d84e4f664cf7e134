/** What `forge config check` says. */
import { findEnvFaults, findFaults } from '../../config/resolve-findings.js';
import type { DoctorContext } from '../context.js';
import { type DoctorFinding, failing, fromError, pass, warning } from '../finding.js';

export async function checkSettings({ settings, settingsFailure, flags }: DoctorContext): Promise<DoctorFinding[]> {
  if (settings === undefined) return [fromError('settings', 'forge.yaml', settingsFailure)];
  const files = [settings.forgeFile?.path, settings.envFile?.path].filter((file) => file !== undefined);
  if (files.length === 0)
    return [pass('settings', 'forge.yaml', 'there is none here: flags and the environment decide')];
  const found = [...(await findEnvFaults(settings)), ...(await findFaults(flags, settings))];
  const next = 'forge config check tells the same; forge config show what it all adds up to.';
  if (found.length === 0) return [pass('settings', 'forge.yaml', files.join(', '))];
  return found.map(({ level, about, message }) =>
    (level === 'fault' ? failing : warning)('settings', about, message, next),
  );
}
