import { describe, expect, it } from 'vitest';
import type { DeploySettings } from '../../../src/config/deploy-settings.js';
import type { DesiredContainer } from '../../../src/deploy/container.js';
import { handOverCommands, handsOver, wordsForClients } from '../../../src/deploy/hand-over.js';
import { leftoverCommands } from '../../../src/deploy/leftovers.js';
import type { ObservedContainer } from '../../../src/deploy/observed.js';
import type { DeployAction } from '../../../src/deploy/plan.js';
import { proxyContainer } from '../../../src/deploy/proxy-container.js';
import type { DockerCommand } from '../../../src/docker/command.js';
import { observedContainer } from '../../support/deploy-observed.js';
import { deploySettings } from '../../support/deploy-settings.js';

const NAME = 'orders-proxy';
const HOST = { name: 'here', address: '127.0.0.1' };

function wanted(changes: Partial<DeploySettings['proxy']> = {}): DesiredContainer {
  const settings = deploySettings();
  return proxyContainer({ ...settings, proxy: { ...settings.proxy, ...changes } }, HOST, [
    { path: 'proxy.yaml', content: '{}' },
  ]);
}
const bridge = { network: { kind: 'bridge', name: 'redis-net' } } as const;

function action(changes: Partial<ObservedContainer> = {}, more: Partial<DeployAction> = {}): DeployAction {
  const desired = wanted({ image: 'redisforge/proxy:2' });
  return {
    kind: 'replace',
    desired,
    observed: observedContainer(wanted(), changes),
    revision: 4,
    reasons: [],
    live: [],
    ...more,
  };
}
const words = (commands: readonly DockerCommand[]) =>
  commands.map(({ args }) =>
    args.filter((word, index) => index < 2 || /^(orders-|-t$|\d+$|no$|unless)/.test(word)).join(' '),
  );

describe('handing over', () => {
  it('is for containers that run, and have the place to meet', () => {
    expect(handsOver(action())).toBe(true);
    expect(handsOver(action({ status: 'exited' }))).toBe(false);
    expect(handsOver(action({}, { kind: 'live' }))).toBe(false);
    expect(handsOver(action({}, { desired: wanted(bridge) }))).toBe(false);
    expect(handsOver({ kind: 'replace', desired: wanted() })).toBe(false);
    // Made by an earlier version, by something else, or on another network.
    for (const other of [undefined, '', 'null', '{}', '{"network":"host","mounts":[null]}']) {
      expect(handsOver(action({ wanted: other as string }))).toBe(false);
    }
    expect(handsOver(action({ wanted: observedContainer(wanted(bridge)).wanted as string }))).toBe(false);
  });

  it('makes the new one beside the old one, which is stopped when the new one serves', () => {
    expect(words(handOverCommands(action(), { makeNetwork: false }))).toEqual([
      `volume create ${NAME}-run`,
      expect.stringMatching(new RegExp(`^create --name ${NAME}-next no 75 `)),
      `cp - ${NAME}-next:/etc/forge-proxy`,
      `start ${NAME}-next`,
      `update --restart unless-stopped ${NAME}-next`,
      `stop -t 75 ${NAME}`,
      `rm --force ${NAME}`,
      `rename ${NAME}-next ${NAME}`,
      `volume rm ${NAME}-config-3`,
    ]);
  });

  it('is said in the plan, and so is why not', () => {
    expect(wordsForClients(action())).toMatch(/^clients stay connected/);
    expect(wordsForClients(action(), false)).toBe('clients reconnect: --now');
    expect(wordsForClients(action({ wanted: '{}' }))).toMatch(/reconnect: the container there cannot/);
    expect(wordsForClients(action({}, { desired: wanted(bridge) }))).toMatch(
      /reconnect: ports of the network redis-net/,
    );
    expect(wordsForClients(action({ status: 'exited' }))).toBeUndefined();
    expect(wordsForClients(action({}, { kind: 'create' }))).toBeUndefined();
  });
});

describe('what a hand-over left that was ended halfway', () => {
  const one = (name: string, status: string, health?: string): ObservedContainer =>
    observedContainer(wanted(), {
      name,
      status,
      revision: name === NAME ? 3 : 4,
      ...(health === undefined ? {} : { health }),
    });
  const volumes = [3, 4].map((revision) => ({
    name: `${NAME}-config-${revision}`,
    instance: 'proxy',
    content: 'configuration',
  }));
  const left = (...containers: ObservedContainer[]) => words(leftoverCommands(wanted(), { containers, volumes }));
  const forward = [`update --restart unless-stopped ${NAME}-next`];
  const named = [`rename ${NAME}-next ${NAME}`, `volume rm ${NAME}-config-3`];

  it('is finished when the new one serves', () => {
    expect(left(one(NAME, 'running'), one(`${NAME}-next`, 'running', 'healthy'))).toEqual([
      ...forward,
      `stop -t 75 ${NAME}`,
      `rm --force ${NAME}`,
      ...named,
    ]);
    expect(left(one(NAME, 'exited'), one(`${NAME}-next`, 'running', 'starting'))).toEqual([
      ...forward,
      `rm --force ${NAME}`,
      ...named,
    ]);
    expect(left(one(`${NAME}-next`, 'running'))).toEqual([...forward, ...named]);
  });

  it('is taken back when it does not: the old one notices by itself', () => {
    const back = [`rm --force ${NAME}-next`, `volume rm ${NAME}-config-4`];
    expect(left(one(NAME, 'running'), one(`${NAME}-next`, 'created'))).toEqual(back);
    expect(left(one(NAME, 'running'), one(`${NAME}-next`, 'running', 'starting'))).toEqual(back);
    expect(left(one(NAME, 'running'), one(`${NAME}-next`, 'exited'))).toEqual(back);
    expect(left(one(NAME, 'exited'), one(`${NAME}-next`, 'exited'))).toEqual(back);
  });

  it('leaves a container alone that nobody replaces', () => {
    expect(
      words(leftoverCommands(wanted(), { containers: [one(NAME, 'running')], volumes: volumes.slice(0, 1) })),
    ).toEqual([]);
  });
});
