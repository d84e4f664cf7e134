import { describe, expect, it } from 'vitest';
import {
  isSecretSetting,
  parseSettings,
  plainConfiguration,
  withoutPasswords,
  writeSettings,
} from '../../../src/backup/settings.js';

describe('settings in a backup', () => {
  it('are without secrets', () => {
    for (const name of ['requirepass', 'masterauth', 'tls-key-file-pass', 'tls-client-key-file-pass', 'search.token']) {
      expect(isSecretSetting(name), name).toBe(true);
    }
    for (const name of ['masteruser', 'tls-auth-clients', 'tls-key-file', 'acllog-max-len', 'maxmemory']) {
      expect(isSecretSetting(name), name).toBe(false);
    }
    expect(plainConfiguration(['save', '', 'requirepass', 'hush', 'appendonly', 'yes', 'odd'])).toEqual({
      appendonly: 'yes',
      save: '',
    });
    expect(plainConfiguration(null)).toEqual({});
  });

  it('have hashes of passwords, and nothing in the open', () => {
    expect(withoutPasswords('user app on #0123 >open <removed ~* +@all')).toBe('user app on #0123 ~* +@all');
  });

  it('are read as they were written', () => {
    const node = {
      id: 'a',
      address: '10.0.0.1:6379',
      users: ['user default on'],
      functions: 'AA==',
      configuration: {},
    };
    const settings = { format: 1 as const, nodes: [node, { id: 'b', address: '10.0.0.2:6379' }] };
    expect(parseSettings(writeSettings(settings).toString(), 'x')).toEqual(settings);
    expect(() => parseSettings('{', 'x')).toThrow(/damaged: it is no JSON/);
    expect(() => parseSettings('{"format":2,"nodes":[]}', 'x')).toThrow(/damaged/);
  });
});
