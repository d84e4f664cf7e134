import { readdirSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Command, type Interfaces, Parser } from '@oclif/core';
import { beforeAll, describe, expect, it } from 'vitest';
import { ForgeError } from '../../../src/errors.js';
import { ROOT, readText, repositoryFiles } from '../../support/repository.js';

const COMMANDS = path.join(ROOT, 'src', 'commands');
const PAGES = ['README.md', ...repositoryFiles().filter((file) => /^docs\/[^/]+\.md$/.test(file))];
/** Words before `forge` in a line: variables, a prompt, what runs it. */
const TYPED = /^(?:\$ )?(?:[A-Z_]+=\S+ )*(?:sudo )?(?:npx )?forge (.*)$/;
/** Where the shell goes on with something else, or a comment begins. */
const END = /\s(?:#|\||&&|\|\||&|;|>|<|2>)(?:\s|$)|\s#/;

interface Line {
  readonly place: string;
  readonly words: readonly string[];
}

/** Every line of a block that calls `forge`; what stands for the rest of a line (`…`) is left out. */
const lines: Line[] = PAGES.flatMap((file) => {
  const page = readText(file);
  return [...page.matchAll(/^( *)```(?:sh|console)?\n([\s\S]*?)^ *```$/gm)].flatMap(({ 2: block = '', index }) => {
    const first = page.slice(0, index).split('\n').length + 1;
    return block.split('\n').flatMap((text, offset): Line[] => {
      const [, typed] = TYPED.exec(text.trim()) ?? [];
      const [command = ''] = typed?.split(END) ?? [];
      const words = wordsOf(command);
      return words.length === 0 ? [] : [{ place: `${file}:${first + offset}`, words }];
    });
  });
});

/** As a shell parts them: quotes hold together, and what a substitution prints is one word. */
function wordsOf(text: string): string[] {
  const parts = text.matchAll(/(?:"[^"]*"|'[^']*'|\$\([^)]*\)|[^\s"'])+/g);
  return [...parts].map(([part]) => part.replaceAll(/["']/g, '')).filter((word) => word !== '…');
}

/** `cluster`, `cluster check`, …: the longest name of a command at the beginning of the words. */
function commandOf(words: readonly string[]): { file: string; rest: readonly string[] } | undefined {
  for (let count = Math.min(words.length, 3); count > 0; count--) {
    const name = words.slice(0, count).join('/');
    // A command that is a topic, too, is the index of its folder.
    const file = [`${name}.ts`, `${name}/index.ts`]
      .map((each) => path.join(COMMANDS, each))
      .find((each) => FILES.has(each));
    if (file !== undefined) return { file, rest: words.slice(count) };
  }
  return undefined;
}

const FILES = new Set(
  readdirSync(COMMANDS, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => path.join(COMMANDS, file)),
);

type CommandClass = Pick<typeof Command, 'baseFlags' | 'flags' | 'args' | 'strict'>;

/** All commands, and what they are made of. */
const LOAD_MS = 120_000;
const classes = new Map<string, CommandClass>();

/** What the real command makes of the words; files that are named need not be there. */
async function parsed(file: string, words: readonly string[]): Promise<void> {
  const command = classes.get(file);
  if (command === undefined) throw new Error(`no command in ${file}`);
  const flags = { ...command.baseFlags, json: { type: 'boolean', parse: async (given: unknown) => given } };
  await Parser.parse([...words], {
    flags: { ...flags, ...command.flags },
    args: command.args,
    strict: command.strict,
  } as unknown as Interfaces.Input<never, never, never>);
}

/** Whether it is only a file of the example that is missing here. */
function isMissingFile(error: unknown): boolean {
  return error instanceof ForgeError ? error.kind === 'configuration' : /No file found/.test(String(error));
}

beforeAll(async () => {
  for (const file of FILES) {
    const loaded: { default: CommandClass } = await import(pathToFileURL(file).href);
    classes.set(file, loaded.default);
  }
}, LOAD_MS);

describe('what the pages have typed', () => {
  it('is found', () => {
    expect(lines.length).toBeGreaterThan(100);
    expect(wordsOf(`a --b='c d' "e f" $(g h)`)).toEqual(['a', '--b=c d', 'e f', '$(g h)']);
  });

  it.each(lines)('is taken by the commands themselves: $place', async ({ words }) => {
    const typed = `forge ${words.join(' ')}`;
    if (words[0]?.startsWith('-')) return;
    const command = commandOf(words);
    expect(command, typed).toBeDefined();
    if (command === undefined) return;
    await parsed(command.file, command.rest).catch((error: unknown) => {
      if (!isMissingFile(error)) throw new Error(`${typed}: ${(error as Error).message}`);
    });
  });

  it('would not be, were it wrong', async () => {
    const file = path.join(COMMANDS, 'deploy', 'redis.ts');
    await expect(parsed(file, ['--al'])).rejects.toThrow('Nonexistent flag: --al');
    await expect(parsed(file, ['--all', '--host', 'a1'])).rejects.toThrow('--host');
  });
});
