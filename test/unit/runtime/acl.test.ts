import { describe, expect, it } from 'vitest';
import { ADMIN_RULES, aclHash, renderAcl } from '../../../src/runtime/acl.js';

describe('renderAcl', () => {
  const text = renderAcl([{ name: 'admin', password: 'hunter2', rules: ADMIN_RULES }]);

  it('holds the SHA-256 of a password and never the password', () => {
    // echo -n hunter2 | sha256sum
    expect(text).toContain('#f52fbd32b2b3b86ff88ef6c490628285f482af15ddcb29541f94bcf526a3f6c7');
    expect(text).not.toContain('hunter2');
  });

  it('switches the nameless user off, with the rights by which servers load their files', () => {
    expect(text.split('\n')[0]).toBe('user default off resetpass ~* &* +@all');
  });

  it('refuses a user without a password', () => {
    expect(() => renderAcl([{ name: 'app', password: '', rules: '' }])).toThrow('no password');
  });

  it.each(['', 'a b', 'a\nuser evil on nopass'])('refuses a name that would be more than a name: %j', (name) => {
    expect(() => renderAcl([{ name, password: 'x', rules: '' }])).toThrow('not a user name');
  });

  it('hashes the bytes of UTF-8', () => {
    // printf 'pässword' | sha256sum
    expect(aclHash('pässword')).toHaveLength(64);
    expect(aclHash('pässword')).not.toBe(aclHash('passwörd'));
  });
});
