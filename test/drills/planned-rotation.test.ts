/** What is changed regularly: certificates, passwords, settings of nodes. Clients connect anew all the time. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DRILL_MS, Matrix, type MatrixDrill, PLANNED, WORKLOAD } from '../support/drills/matrix.js';
import { LIFE_MS, SecureStand } from '../support/drills/secure-stand.js';
import { untilGone } from '../support/drills/upgraded.js';

const START_MS = 120_000;

let stand: SecureStand;
const matrix = new Matrix('planned-rotation');

beforeAll(async () => {
  stand = await SecureStand.start();
}, START_MS);
afterAll(async () => {
  await stand?.stop();
  await matrix.save();
}, START_MS);

/** What is in the folder goes to all who need it; to applications before anybody shows what they do not trust yet. */
async function giveOut(): Promise<void> {
  await stand.giveClients();
  for (const port of stand.nodes) await stand.giveNode(port);
  await stand.giveProxy();
}

const onNodes = async (command: string, ...words: string[]) => {
  for (const port of stand.nodes) await stand.call(port, command, ...words);
};

const PROXY_READ_IT = 'passwords were read again';

describe('planned', () => {
  const planned = (name: string, disturb: MatrixDrill['disturb'], bounds = PLANNED) =>
    it(name, { timeout: DRILL_MS }, async () => {
      await matrix.drill(stand, { name, disturb, bounds, beside: undefined });
    });

  planned('certificate rotation: all with new keys', async (tell) => {
    tell('renew');
    await stand.certificates('--renew', '--within', '3650', '--new-keys');
    tell('install');
    await giveOut();
  });

  planned('certificate rotation: another CA', async (tell) => {
    for (const step of ['rotate', 'switch', 'retire']) {
      tell(`${step} CA`);
      await stand.certificates(`--${step}-ca`);
      await giveOut();
    }
  });

  // What a TLS session needs cannot leave the process: those who listen lose their connection once, with the old one.
  const CUT_OFF = { ...PLANNED, subscriptions: WORKLOAD.channels };
  const rotation = "password rotation: the proxy's at the nodes, and an upgrade of it; all with TLS";
  const rotate: MatrixDrill['disturb'] = async (tell) => {
    const [old, next] = [stand.passwords.app, 'serving since'];
    tell('nodes take both');
    await onNodes('ACL', 'SETUSER', 'app', `>${next}`);
    await onNodes('ACL', 'SAVE');
    const before = await stand.countSaid(PROXY_READ_IT);
    tell('the proxy is given the new one');
    await stand.writeSecret('app', next);
    await stand.said(PROXY_READ_IT, before);
    tell('nodes take the new one alone');
    await onNodes('ACL', 'SETUSER', 'app', `<${old}`);
    await onNodes('ACL', 'SAVE');
    stand.passwords.app = next;
    // All its connections are new ones then.
    tell('upgrade');
    const replaced = await stand.proxyPid();
    // All others leave by themselves before that.
    await stand.proxy('upgrade', '--drain-time', String((2 * LIFE_MS) / 1_000));
    await untilGone(replaced);
    tell('the old process has ended');
  };
  planned(rotation, rotate, CUT_OFF);

  planned("password rotation: the clients' at the proxy", async (tell) => {
    const next = 'asking since';
    await stand.writeSecret('endpoint-next', next);
    tell('the proxy takes both');
    const both = [stand.secret('endpoint'), stand.secret('endpoint-next')];
    await stand.configureProxy({ listener: { downstream_auth_passwords: both } });
    await stand.proxy('reload');
    tell('clients are given the new one');
    stand.passwords.endpoint = next;
    await stand.renewed();
    tell('the proxy takes the new one alone');
    await stand.writeSecret('endpoint', next);
    await stand.configureProxy({});
    await stand.proxy('reload');
  });

  planned('configuration rotation: settings that nodes take live', async (tell) => {
    tell('CONFIG SET');
    await stand.configureNodes(LIVE);
    for (const [name, [value = '']] of Object.entries(LIVE)) await onNodes('CONFIG', 'SET', name, value);
  });

  planned('configuration rotation: a setting that needs a restart', async (tell) => {
    await stand.configureNodes({ ...LIVE, 'tcp-backlog': ['600'] });
    tell('restart');
    const command = JSON.stringify(stand.startCommand('{port}'));
    await stand.forge('cluster', 'restart', '--start-command', command, '--yes');
    for (const port of stand.nodes) {
      expect(await stand.call(port, 'CONFIG', 'GET', 'tcp-backlog')).toEqual(['tcp-backlog', '600']);
    }
  });
});

const LIVE = { maxmemory: ['512mb'], 'maxmemory-policy': ['volatile-lfu'], hz: ['50'], 'slowlog-max-len': ['512'] };
