import { describe, expect, it } from 'vitest';
import { chooseProxy, findProxy, type SeenProxy } from '../../../src/proxy/control/find.js';

const standard = (changes: Partial<SeenProxy> = {}): SeenProxy => ({
  pidFile: '/state/proxy.pid',
  cluster: null,
  phase: 'absent',
  pid: null,
  ...changes,
});
const local = (cluster: string, changes: Partial<SeenProxy> = {}): SeenProxy => ({
  pidFile: `/state/${cluster}/proxy/proxy.pid`,
  cluster,
  phase: 'running',
  pid: 71,
  ...changes,
});

describe('the proxy that is meant when nobody says which', () => {
  it('is the only one that runs, wherever that is', () => {
    expect(chooseProxy([standard(), local('local')])).toEqual({
      pidFile: '/state/local/proxy/proxy.pid',
      cluster: 'local',
      found: true,
      phase: 'running',
      words: 'the proxy of the local cluster "local", process 71',
    });
    const others = [local('a', { phase: 'stopped', pid: null }), local('b', { phase: 'lost', pid: null })];
    expect(chooseProxy([standard({ phase: 'running', pid: 9 }), ...others])).toMatchObject({
      pidFile: '/state/proxy.pid',
      found: true,
      words: 'the proxy of /state/proxy.pid, process 9',
    });
  });

  it('is one that is about to be restarted, too: it would come back after a stop of another', () => {
    const waiting = local('local', { phase: 'waiting', pid: null });
    expect(chooseProxy([standard(), waiting])).toMatchObject({ cluster: 'local', found: true, phase: 'waiting' });
    expect(() => chooseProxy([standard({ phase: 'running', pid: 9 }), waiting])).toThrow('2 proxies run here');
  });

  it('is the only one that has run, when none does', () => {
    const failed = local('local', { phase: 'failed', pid: null });
    expect(chooseProxy([standard(), failed])).toMatchObject({ cluster: 'local', found: true, phase: 'failed' });
  });

  it('is the standard place when none or several have run', () => {
    expect(chooseProxy([standard()])).toMatchObject({ pidFile: '/state/proxy.pid', found: false, phase: 'absent' });
    const stopped = ['a', 'b'].map((name) => local(name, { phase: 'stopped', pid: null }));
    expect(chooseProxy([standard(), ...stopped])).toMatchObject({ pidFile: '/state/proxy.pid', found: false });
  });

  it('cannot be told when several run: each is named as it has to be said', () => {
    const seen = [standard({ phase: 'running', pid: 9 }), local('local'), local('two', { pid: 72 })];
    expect(() => chooseProxy(seen)).toThrow(
      expect.objectContaining({
        kind: 'usage',
        message: '3 proxies run here; say which one is meant.',
        next: [
          '--pid-file /state/proxy.pid   (process 9)',
          '--name local   (process 71, /state/local/proxy/proxy.pid)',
          '--name two   (process 72, /state/two/proxy/proxy.pid)',
        ],
        details: {
          candidates: [
            { pidFile: '/state/proxy.pid', cluster: null, pid: 9 },
            { pidFile: '/state/local/proxy/proxy.pid', cluster: 'local', pid: 71 },
            { pidFile: '/state/two/proxy/proxy.pid', cluster: 'two', pid: 72 },
          ],
        },
      }),
    );
  });

  it('is told in ten lines at most, however many run', () => {
    const many = Array.from({ length: 14 }, (_, i) => local(`c${i}`, { pid: 100 + i }));
    expect(() => chooseProxy([standard(), ...many])).toThrow(
      expect.objectContaining({ next: expect.arrayContaining(['and 4 more: forge status --all']) }),
    );
  });
});

it('two ways to say which proxy exclude each other', async () => {
  await expect(findProxy({ pidFile: '/x/proxy.pid', name: 'local' })).rejects.toMatchObject({ kind: 'usage' });
});
