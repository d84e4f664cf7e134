/** Flags of `forge gen-certs`. */
import { Flags } from '@oclif/core';

const DAYS_MAX = 36_500;
/** Of `--within`, `--warn-days` and `--fail-days`, which are only of use with another flag and so have no default there. */
export const WITHIN_DAYS = 30;
export const WARN_DAYS = 30;
export const FAIL_DAYS = 7;
/** Who gets a client certificate when nobody is named. */
export const CLIENT_DEFAULT = 'forge';

/** What a run does; one at a time. */
const MODES = ['renew', 'check', 'install', 'rotate-ca', 'switch-ca', 'retire-ca', 'force'];
const others = (mode: string) => MODES.filter((each) => each !== mode);

/**
 * Who gets certificates, what they are like, and what is to be done. What depends on another flag, and what others depend on,
 * has no default: one would count as given.
 */
export const certificateFlags = {
  host: Flags.string({
    description:
      'A host that gets a certificate, with all its names and addresses; beside those of forge.yaml. With --install: a host of forge.yaml.',
    helpValue: 'NAME[,NAME…]',
    multiple: true,
  }),
  client: Flags.string({
    description: `A client that gets a certificate (${CLIENT_DEFAULT}).`,
    helpValue: 'NAME',
    multiple: true,
  }),
  'proxy-name': Flags.string({
    description: 'A name or address by which applications come to the proxy; beside that of forge.yaml.',
    helpValue: 'NAME',
    multiple: true,
  }),
  resolve: Flags.boolean({
    description: 'Ask for the addresses of hosts that are known by name only (default).',
    default: true,
    allowNo: true,
  }),
  bits: Flags.integer({ description: 'Bits of the RSA keys, 2048 to 4096.', default: 2048, helpValue: 'N' }),
  days: Flags.integer({
    description: 'How long certificates are valid.',
    default: 365,
    min: 1,
    max: DAYS_MAX,
    helpValue: 'N',
  }),
  'ca-days': Flags.integer({
    description: 'How long the CA is valid.',
    default: 3650,
    min: 1,
    max: DAYS_MAX,
    helpValue: 'N',
  }),
  'ca-name': Flags.string({
    description: 'Name of the CA; that of the cluster when not given.',
    helpValue: 'NAME',
  }),
  'ca-key-file': Flags.string({
    description: "The CA's key, when it is not kept in the folder.",
    helpValue: 'FILE',
  }),
  'ca-passphrase-file': Flags.string({
    description: "Passphrase of the CA's key (FORGE_CA_PASSPHRASE); with one, its file is encrypted.",
    helpValue: 'FILE',
  }),
  force: Flags.boolean({ description: 'Replace what is there, the CA too.', default: false }),
  renew: Flags.boolean({
    description: 'Renew what ends soon or does not fit any more, and add what is missing.',
    exclusive: others('renew'),
  }),
  within: Flags.integer({
    description: 'Renew what ends within so many days (30).',
    min: 0,
    max: DAYS_MAX,
    helpValue: 'DAYS',
    dependsOn: ['renew'],
  }),
  'new-keys': Flags.boolean({
    description: 'With --renew or --switch-ca: new certificates with new keys for all.',
    default: false,
  }),
  check: Flags.boolean({
    description: 'Only look: when everything ends, and whether it fits together.',
    exclusive: others('check'),
  }),
  'warn-days': Flags.integer({
    description: 'Warn of what ends within so many days (30).',
    min: 0,
    max: DAYS_MAX,
    helpValue: 'N',
    dependsOn: ['check'],
  }),
  'fail-days': Flags.integer({
    description: 'What ends within so many days fails (7).',
    min: 0,
    max: DAYS_MAX,
    helpValue: 'N',
    dependsOn: ['check'],
  }),
  strict: Flags.boolean({ description: 'Exit with 9 on a warning, too.', dependsOn: ['check'] }),
  nagios: Flags.boolean({
    description: 'One line for Nagios, and its exit codes.',
    dependsOn: ['check'],
    exclusive: ['json', 'strict'],
  }),
  textfile: Flags.string({
    description: 'Write until when certificates are valid for the node exporter: its folder, or a file NAME.prom.',
    helpValue: 'PATH',
    dependsOn: ['check'],
  }),
  install: Flags.boolean({
    description: 'Give certificates and CAs to the containers of forge.yaml, which take them while they run.',
    exclusive: others('install'),
  }),
  node: Flags.string({
    description: 'With --install: a node of forge.yaml. May be repeated.',
    helpValue: 'HOST:PORT',
    multiple: true,
    multipleNonGreedy: true,
    dependsOn: ['install'],
  }),
  all: Flags.boolean({
    description: 'With --install: every node and proxy of forge.yaml.',
    dependsOn: ['install'],
    exclusive: ['host', 'node'],
  }),
  'rotate-ca': Flags.boolean({
    description: 'Change the CA, step 1: make the next one; both are trusted, the present one signs.',
    default: false,
    exclusive: others('rotate-ca'),
  }),
  'switch-ca': Flags.boolean({
    description: 'Step 2: the next CA signs everything; both are trusted.',
    default: false,
    exclusive: others('switch-ca'),
  }),
  'retire-ca': Flags.boolean({
    description: 'Step 3: the previous CA is trusted no more.',
    default: false,
    exclusive: others('retire-ca'),
  }),
};
