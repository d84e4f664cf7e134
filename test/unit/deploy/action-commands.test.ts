import { describe, expect, it } from 'vitest';
import { type CommandChoice, commandsOf } from '../../../src/deploy/action-commands.js';
import { type DesiredContainer, UNTOLD_MODE } from '../../../src/deploy/container.js';
import type { ObservedContainer, ObservedFile } from '../../../src/deploy/observed.js';
import { type DeployAction, planDeploy } from '../../../src/deploy/plan.js';
import { redisContainer } from '../../../src/deploy/redis-container.js';
import { redisEffect } from '../../../src/deploy/redis-files.js';
import { renderCommand } from '../../../src/docker/command.js';
import { LOCAL_ENDPOINT } from '../../../src/docker/endpoint.js';
import { parseServerVersion } from '../../../src/redis-config/version.js';
import { observedContainer, observedHost } from '../../support/deploy-observed.js';
import { deploySettings } from '../../support/deploy-settings.js';

const VERSION = parseServerVersion('7.0');
const login = { username: 'admin', password: 'secret' };

function wanted(conf = 'port 7901\n', settings = deploySettings()): DesiredContainer {
  const [node] = settings.nodes;
  if (node === undefined) throw new Error('no node');
  return redisContainer(settings, node, [
    { path: 'redis.conf', content: conf },
    { path: 'users.acl', content: 'user default off\n' },
  ]);
}

function actionFor(desired: DesiredContainer, observed?: ObservedContainer): DeployAction {
  const seen = observedHost(observed === undefined ? [] : [observed]);
  const { actions } = planDeploy([desired], new Map([['here', seen]]), (_, changes) => redisEffect(changes, VERSION));
  const [action] = actions;
  if (action === undefined) throw new Error('no action');
  return action;
}

/** `stop`, `rename a b`: the words that tell one command from another. */
function lines(action: DeployAction, choice: Partial<CommandChoice> = {}): string[] {
  return commandsOf(action, { login, makeNetwork: false, ...choice }).map((command) =>
    renderCommand(command, LOCAL_ENDPOINT),
  );
}
const verbs = (action: DeployAction) => lines(action).map((line) => line.split(' ').slice(1, 3).join(' '));
const NAME = 'orders-redis-7901';

function withFile(desired: DesiredContainer, path: string, content = 'x'): Map<string, ObservedFile> {
  const files = new Map(observedContainer(desired).files ?? []);
  return files.set(path, { content: Buffer.from(content), mode: 0o640, uid: 0, gid: 10_001 });
}

describe('the commands of an action', () => {
  it('are none when nothing is to be done', () => {
    expect(lines(actionFor(wanted(), observedContainer(wanted())))).toEqual([]);
  });

  it('try the files of a new container before the one that runs is stopped', () => {
    const action = actionFor(wanted('port 7901\nio-threads 2\n'), observedContainer(wanted()));
    const all = lines(action);
    const trial = all.findIndex((line) => line.includes('docker run --detach'));
    expect(trial).toBeGreaterThan(0);
    expect(trial).toBeLessThan(all.findIndex((line) => line.startsWith('docker stop')));
    expect(all[trial]).toContain(`--name ${NAME}-trial`);
    expect(all[trial]).toContain('--network none');
    expect(all[trial]).toContain(`--volume ${NAME}-config-4:/etc/redisforge:ro`);
    // It may neither reach the data nor say that it is healthy.
    expect(all[trial]).not.toContain(`${NAME}-data`);
    expect(all[trial]).toContain('--no-healthcheck');
    expect(all[trial]).toContain('--port 0 --tls-port 0');
    expect(all[trial + 1]).toBe(`docker rm --force ${NAME}-trial`);
    expect(verbs(action)).toEqual(expect.arrayContaining(['volume rm', `start ${NAME}`]));
    expect(all[0]).toContain(`--mount type=volume,source=${NAME}-config-4,target=/etc/redisforge,volume-label=`);
  });

  it.each(['running', 'exited'])('take away what is no longer wanted of a container that is %s', (status) => {
    const desired = wanted();
    const files = withFile(desired, 'old.crt');
    files.set('redis.conf', { content: Buffer.from('port 7901\nmaxmemory 1\n'), mode: 0o640, uid: 0, gid: 10_001 });
    const live = { ...actionFor(desired, observedContainer(desired, { status, files })) };
    const action: DeployAction =
      status === 'running'
        ? { ...live, kind: 'live', live: [{ to: 'redis', words: ['CONFIG', 'SET', 'maxmemory', '2'], shown: 'x' }] }
        : { ...live, kind: 'start' };
    expect(lines(action).at(-1)).toBe(`docker exec --user 0:0 ${NAME} rm -f -- /etc/redisforge/old.crt`);
    const told = lines(action).findIndex((line) => line.includes('exec -i'));
    expect(told).toBe(status === 'running' ? 1 : -1);
  });

  it('mark files until the server was told of them, and show no password', () => {
    const desired = wanted('port 7901\nmaxmemory 64mb\n');
    const all = lines(actionFor(desired, observedContainer(wanted())));
    expect(all).toHaveLength(3);
    expect(all[0]).toContain(`redis.conf (0${UNTOLD_MODE.toString(8)}`);
    // Users are the same: the server need not be told of them.
    expect(all[0]).not.toContain('users.acl');
    expect(all[2]).toContain('redis.conf (0640');
    expect(all.join('\n')).not.toContain('secret');
  });

  it('take fewer open files where the engine has no more, and want the others all the same', () => {
    const [create] = lines(actionFor(wanted()), { nofile: 20_000 }).filter((line) => line.includes('--read-only'));
    expect(create).toContain('--ulimit nofile=20000:20000');
    expect(create).toContain('"nofile":10240');
  });
});
