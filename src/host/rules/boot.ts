/** Whether what is right now will be right after the next start. */
import { type Reason, warn } from '../../operations/health/finding.js';
import type { BootSetting, HostFacts } from '../facts.js';
import type { HostCheck } from '../finding.js';
import type { HostNeeds } from '../needs.js';
import { isRight, SETTINGS } from '../settings.js';

/** Of each key, the one that is read last. */
export function atBoot({ boot }: Pick<HostFacts, 'boot'>): Map<string, BootSetting> {
  return new Map(boot.map((setting) => [setting.key, setting]));
}

function wrong(facts: HostFacts, needs: HostNeeds): Reason[] {
  const last = atBoot(facts);
  return SETTINGS.flatMap((setting) => {
    const found = last.get(setting.key);
    const live = facts.sysctls.get(setting.key);
    if (found === undefined || live === undefined || !isRight(setting, live, facts, needs)) return [];
    if (isRight(setting, found.value, facts, needs)) return [];
    return [warn(`${setting.key} is ${live} now, and ${found.file} sets it to ${found.value} at the next start`)];
  });
}

export const boot: HostCheck = {
  name: 'boot',
  about: 'the settings are still right after the next start',
  why: 'A value that was set by hand is gone after a restart, when nobody thinks of it.',
  next: 'Correct or remove the line in that file.',
  judge(facts, needs) {
    const reasons = wrong(facts, needs);
    return {
      value: reasons.length === 0 ? 'no contradiction' : `${reasons.length} contradicted`,
      wanted: 'no file that sets another value',
      reasons,
    };
  },
};
