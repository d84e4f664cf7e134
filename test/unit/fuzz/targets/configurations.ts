/** What operators write: forge.yaml, the proxy's configuration, Envoy's, .env, and words on the command line. */
import fc from 'fast-check';
import { parse, stringify } from 'yaml';
import { keyPattern } from '../../../../src/backup/restore/glob.js';
import { formatAddress, parseAddressList } from '../../../../src/cluster/address.js';
import { formatSlots } from '../../../../src/cluster/slots.js';
import { parseDotenv } from '../../../../src/config/dotenv.js';
import { formatDuration, parseDuration } from '../../../../src/config/duration.js';
import { parseForgeFile } from '../../../../src/config/forge-file.js';
import { ForgeError } from '../../../../src/errors.js';
import { parseSlots } from '../../../../src/operations/planners/reshard.js';
import { ConfigError, parseConfig } from '../../../../src/proxy/config/load.js';
import { importEnvoy } from '../../../../src/proxy/control/import-envoy/import.js';
import { mutations } from '../../../support/mutations.js';
import { FORGE_FILE_PAGES, readText } from '../../../support/repository.js';
import { ARTICLE, CLUSTER } from '../../proxy/import-envoy/envoy-files.js';
import { bytesLike, textLike } from '../mutate.js';
import { must, mustEqual, resultOf, target } from '../target.js';

/** A control character in a message would reach the terminal. */
const CONTROL = /[\p{Cc}\u2028\u2029]/u;

const examplesOf = (page: string) =>
  [...readText(`docs/${page}`).matchAll(/^```yaml\n(.*?)^```/gms)].map((match) => match[1] as string);
const FORGE_FILES = [
  'cluster: orders\nnodes: [10.0.0.1:6379@a, { host: "::1", port: 7000, role: master }]\ntls: true\n',
  'clusters:\n  orders: { nodes: [a:1] }\n  sessions: { tls: true }\ndefault: sessions\n',
  ...FORGE_FILE_PAGES.flatMap(examplesOf),
];
const PROXY_FILES = [readText('templates/proxy.yaml'), ...examplesOf('configuration.md')];
const ENVOY_FILES = [ARTICLE, CLUSTER];
const SECRET = 'hunter2-of-nobody';
const ENVIRONMENTS = [
  `A=1\nexport B="two \${A} words"\nC='three'\n# no\nD=\${E:-four}\nPASSWORD=${SECRET}\\ \\$x\nF=$A$B\n`,
  `X="over\ntwo lines"\nY='${SECRET}\nZ=$(date)\nW=\`id\`\nV=a;b\n`,
];

/** As text with changed bytes, and as a document with exchanged parts. */
const documentsLike = (files: readonly string[], others: readonly unknown[] = []) =>
  fc.oneof(
    textLike(files),
    fc.constantFrom(...files).chain((text) => {
      const base: unknown = parse(text);
      return typeof base !== 'object' || base === null
        ? fc.constant(text)
        : mutations(base, others).map((document) => stringify(document));
    }),
  );

/** Reads it; a refusal has the file's name on each line, and nothing that a terminal would obey. */
function checkConfiguration(work: () => unknown): boolean {
  const { refusal } = { refusal: undefined, ...resultOf(work, ConfigError) };
  if (refusal === undefined) return true;
  must(refusal.problems.length > 0, 'a refusal has a reason');
  for (const line of refusal.message.split('\n')) {
    must(line.startsWith('f.yaml') && !CONTROL.test(line), `a line of a refusal is plain: ${JSON.stringify(line)}`);
  }
  return false;
}

/** Words for which there is a way to write them, which is read as the same. */
function checkWord<Value>(read: (text: string) => Value, write: (value: Value) => string, text: string): void {
  const { result } = { result: undefined, ...resultOf(() => read(text), ForgeError) };
  if (result !== undefined) mustEqual(read(write(result)), result, 'what is written is read as it was');
}

export const configurations = [
  target('forge.yaml', documentsLike(FORGE_FILES), (text) => {
    checkConfiguration(() => parseForgeFile(text, 'f.yaml'));
  }),
  target('the configuration of a proxy', documentsLike(PROXY_FILES, ['%KEY%', '-1s', '99999h']), (text) => {
    checkConfiguration(() => parseConfig(text, 'f.yaml'));
  }),
  target('a configuration of Envoy', documentsLike(ENVOY_FILES, ['%KEY', '%A%', 'a b', '-1s']), (text) => {
    const { result } = { result: undefined, ...resultOf(() => importEnvoy(text, 'f.yaml'), ForgeError) };
    if (result !== undefined) parseConfig(result.yaml, 'f.yaml');
  }),
  target('.env', textLike(ENVIRONMENTS), (text) => {
    const { values, problems } = parseDotenv(text, { HOME: '/home/x' });
    for (const [name] of values) must(/^[A-Za-z_][A-Za-z0-9_]*$/.test(name), 'a variable has a name');
    for (const { line, message } of problems) {
      must(line >= 1 && line <= text.split('\n').length, 'a problem has a line');
      must(!message.includes(SECRET), 'a problem does not tell a value');
    }
  }),
  target(
    'words of the command line',
    fc.tuple(
      textLike(['10.0.0.1:6379@zone-a,[2001:db8::1]:7000, redis-1.example:6379', '10.0.0.1:1']),
      textLike(['0-5460,5461,16383', '7']),
      textLike(['500ms', '1.5h', '30s', '7d', '90']),
      textLike(['user:[a-z]*:?\\*[^x]', '*'.repeat(30), '[]-]x[!a']),
      bytesLike(['user:7:abc', '*', 'x'.repeat(200)]),
    ),
    ([addresses, slots, duration, pattern, key]) => {
      const listed = (found: ReturnType<typeof parseAddressList>) =>
        found.map((each) => formatAddress(each) + (each.zone === undefined ? '' : `@${each.zone}`)).join(',');
      checkWord((text) => parseAddressList(text), listed, addresses);
      checkWord(parseSlots, (found) => formatSlots(found), slots);
      checkWord((text) => parseDuration(text), formatDuration, duration);
      const { result: matches } = { result: undefined, ...resultOf(() => keyPattern(pattern), ForgeError) };
      matches?.(key);
    },
  ),
];
