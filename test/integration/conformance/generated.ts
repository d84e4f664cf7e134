/** Cases made from the command table and from the written cases: what every command has to be tried with. */
import { CommandFlag, type CommandSpec } from '../../../src/proxy/engine/commands/spec.js';
import { COMMANDS } from '../../../src/proxy/engine/commands/table.generated.js';
import { keysByTable } from '../../support/key-specs.js';
import { FAMILIES, SESSIONS } from './cases/index.js';
import { entryOf, TABLE as table } from './entry.js';
import { EXCLUDED } from './excluded.js';
import { type Script, type Step, script, stepOf } from './script.js';

const buffers = (words: readonly string[]) => words.map((word) => Buffer.from(word, 'latin1'));

export const isExcluded = ({ name }: CommandSpec) => (EXCLUDED[name] ?? EXCLUDED[name.split('|', 1)[0]!]) !== undefined;

/** Every command that has a written case, by the name of its entry. */
export function writtenCommands(): Set<string> {
  const steps = [...FAMILIES, ...SESSIONS].flatMap(({ steps }) => steps);
  return new Set(steps.flatMap(({ words }) => entryOf(words)?.name ?? []));
}

/** Entries without a written case, which are not refused by design either. Containers are tried by their subcommands. */
export function commandsWithoutCase(): string[] {
  const written = writtenCommands();
  const missing = COMMANDS.filter((entry) => !entry.container && !isExcluded(entry) && !written.has(entry.name));
  return missing.map(({ name }) => name);
}

/** Too few and too many arguments of every command, and unknown subcommands of every container. */
export function arityCases(): Script {
  const steps = COMMANDS.filter((entry) => !isExcluded(entry)).flatMap((entry) => {
    const words = entry.name.split('|');
    const ofLength = (count: number) => [...words, ...Array<string>(Math.max(0, count - words.length)).fill('x')];
    const least = Math.abs(entry.arity);
    const lists = [
      ...(least - 1 >= words.length ? [ofLength(least - 1)] : []),
      ...(least - 1 > words.length ? [words] : []),
      ...(entry.arity > 0 ? [ofLength(entry.arity + 1), ofLength(entry.arity + 5)] : []),
      ...(entry.container
        ? [
            [...words, 'BOGUS'],
            [...words, 'bogus', 'x', 'y'],
            [...words, ''],
          ]
        : []),
    ];
    return lists.map((list) => stepOf(buffers(list)));
  });
  return { title: 'wrong numbers of arguments', steps };
}

/** For each command with keys one written case, and where its keys are. The case marked `@sample`, else the first. */
function samples(): { entry: CommandSpec; step: Step; keysAt: number[]; family: string }[] {
  return FAMILIES.flatMap(({ title, steps }) => {
    const chosen = new Map<string, Step>();
    for (const step of steps) {
      const name = entryOf(step.words)?.name;
      // An allowed difference would leave different data behind.
      if (name === undefined || step.marks.has('allowed')) continue;
      if (!chosen.has(name) || step.marks.has('sample')) chosen.set(name, step);
    }
    return [...chosen].flatMap(([name, step]) => {
      const entry = table.get(name)!;
      const texts = step.words.map((word) => word.toString('latin1'));
      const keys = new Set(texts.length >= Math.abs(entry.arity) ? keysByTable(entry, texts) : []);
      const keysAt = texts.flatMap((text, i) => (i > 0 && keys.has(text) ? [i] : []));
      return keysAt.length === 0 ? [] : [{ entry, step, keysAt, family: title }];
    });
  });
}

function withKeys(step: Step, keysAt: readonly number[], key: (nth: number) => Buffer): Step {
  const words = step.words.map((word, i) => (keysAt.includes(i) ? key(keysAt.indexOf(i)) : word));
  return stepOf(words, step.marks);
}

/** Keys of every form that a hash tag can and cannot have. */
const ODD_KEYS = [
  '',
  '{}',
  '{}x',
  '{a}{b}',
  'a{b',
  'a}b',
  '}{',
  '{{a}}',
  '{',
  '\0\r\n$*\xff\xfe\x80',
  ' ',
  'x'.repeat(600),
];

/** Every command with keys of every odd form; the same key in all places, so that they are together. */
export function oddKeyCases(): Script[] {
  return ODD_KEYS.map((text) => {
    const key = Buffer.from(text, 'latin1');
    let family = '';
    const steps = samples().flatMap((sample) => {
      const begins = sample.family !== family;
      family = sample.family;
      // A type of its own for each family; within one, commands meet what the earlier ones have left.
      const fresh = begins ? [stepOf([Buffer.from('DEL'), key])] : [];
      return [...fresh, withKeys(sample.step, sample.keysAt, () => key)];
    });
    return { title: `the key ${JSON.stringify(text.slice(0, 20))}`, steps };
  });
}

const ONE_OF_EACH = [
  'DEL {odd}s {odd}l {odd}h {odd}set {odd}z {odd}x',
  'SET {odd}s text',
  'RPUSH {odd}l 1 2',
  'HSET {odd}h f v',
  'SADD {odd}set m',
  'ZADD {odd}z 1 m',
  'XADD {odd}x 1-1 f v',
];

/** Every command upon keys of every type. */
export function wrongTypeCases(): Script[] {
  return ['s', 'l', 'h', 'set', 'z', 'x'].map((type) => {
    const key = Buffer.from(`{odd}${type}`);
    const again = script('', ONE_OF_EACH.join('\n')).steps;
    const steps = samples().flatMap(({ step, keysAt, entry }) => {
      const made = withKeys(step, keysAt, () => key);
      return entry.flags & CommandFlag.write ? [...again, made] : [made];
    });
    return { title: `keys of the type of ${key}`, steps: [...again, ...steps] };
  });
}

/** Commands over several keys, in several slots on three masters. */
export function crossSlotCases(): Script {
  const steps = samples()
    .filter(({ keysAt }) => keysAt.length > 1)
    .flatMap(({ step, keysAt }) => {
      const marks = new Map([...step.marks, ['allowed', ['slots']] as const]);
      return [withKeys({ ...step, marks }, keysAt, (nth) => Buffer.from(`key${nth}`))];
    });
  return { title: 'keys in several slots', steps };
}

/** A valid call of every command that is refused by design. */
export function excludedCalls(): { name: string; words: Buffer[] }[] {
  return COMMANDS.filter(isExcluded).map(({ name, arity }) => {
    const words = name.split('|');
    const fillers = Array<string>(Math.max(0, Math.abs(arity) - words.length)).fill('x');
    return { name, words: buffers([...words, ...fillers]) };
  });
}
