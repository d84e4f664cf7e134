/** The steps by which one CA takes the place of another while both are trusted. Pure. */
import { ForgeError } from '../errors.js';
import type { StoredDirectory } from './directory.js';
import { CA_NEXT_CERTIFICATE, CA_PREVIOUS_CERTIFICATE } from './layout.js';

/**
 * `none`: one CA. `announced`: the next one is trusted, and does not sign yet. `switched`: it signs, and the previous one is
 * still trusted.
 */
export type RotationState = 'none' | 'announced' | 'switched';
export type RotationStep = 'rotate' | 'switch' | 'retire';

export function rotationState(stored: Pick<StoredDirectory, 'next' | 'previous'>): RotationState {
  if (stored.next !== undefined) return 'announced';
  return stored.previous === undefined ? 'none' : 'switched';
}

/** What there is to do in a state, in a sentence or two; undefined when nothing is under way. */
export function rotationAdvice(state: RotationState, directory: string): { text: string; next: string } | undefined {
  switch (state) {
    case 'none':
      return undefined;
    case 'announced':
      return {
        text: 'The CA is being changed, step 1 of 3: the next CA is trusted, the present one signs.',
        next: `When ca-bundle.crt is with all nodes and proxies (deployed ones get it by forge gen-certs ${directory} --install --all) and with clients: forge gen-certs ${directory} --switch-ca`,
      };
    case 'switched':
      return {
        text: 'The CA is being changed, step 2 of 3: the new CA signs, the previous one is still trusted.',
        next: `When all nodes and proxies (deployed ones get them by forge gen-certs ${directory} --install --all) and clients have their new certificates: forge gen-certs ${directory} --retire-ca`,
      };
  }
}

/**
 * Whether a step is to be done now; `done` when it was done before, so that it can be repeated.
 * @throws ForgeError `refused` for a step out of its turn
 */
export function judgeStep(
  step: RotationStep,
  stored: Pick<StoredDirectory, 'next' | 'previous' | 'path'>,
): 'do' | 'done' {
  const { next, previous, path } = stored;
  const command = `forge gen-certs ${path}`;
  if (next !== undefined && previous !== undefined) {
    throw refused(
      `${path} has both ${CA_NEXT_CERTIFICATE} and ${CA_PREVIOUS_CERTIFICATE}, which no step leaves behind.`,
      ['Look where they come from, and put back the folder as it was.'],
    );
  }
  switch (step) {
    case 'rotate':
      if (next !== undefined) return 'done';
      if (previous === undefined) return 'do';
      throw refused('The CA was changed before, and the one before it is still trusted.', `${command} --retire-ca`);
    case 'switch':
      if (next !== undefined) return 'do';
      if (previous !== undefined) return 'done';
      throw refused('There is no next CA that could sign.', `${command} --rotate-ca`);
    case 'retire':
      if (next === undefined) return previous === undefined ? 'done' : 'do';
      throw refused(
        'The present CA still signs: without it, nothing would be trusted.',
        `When the next CA is trusted everywhere: ${command} --switch-ca`,
      );
  }
}

function refused(message: string, next: string | string[]): ForgeError {
  return new ForgeError('refused', message, { next });
}
