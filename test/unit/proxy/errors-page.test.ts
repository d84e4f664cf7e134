import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Literal, literalsOf } from '../../support/literals.js';
import { ROOT, readText } from '../../support/repository.js';

const ENGINE = 'src/proxy/engine';
/** Where the texts that clients get are made. */
const FOLDERS = [ENGINE, 'src/proxy/server'];

/** Words after the code, with a small letter among them: `ERR syntax error`, not `TRACKING OFF`. */
const WITH_CODE = /^-?(ERR|EXECABORT|CROSSSLOT|UNBLOCKED|NO[A-Z]+|WRONG[A-Z]+|BUSY[A-Z]*|MISCONF|OOM) .*[a-z]/;
const WITHOUT_CODE = /^(-[a-z].* |-Fault |no upstream host$|upstream (failure|protocol error)$)/;
/** What is given to these is said to a client, in the engine. */
const SAYS = new Set(['refuse', 'refuseUnsupported', 'replyError', 'malformed']);
/** What is given to these is not. */
const SAYS_ELSEWHERE = new Set(['note', 'log', 'Error']);

/** Files whose errors, or the second half of them, stand in constants and tables, without a code before them. */
const PARTS = new Set([
  'src/proxy/engine/access/user.ts',
  'src/proxy/engine/admission/admission.ts',
  'src/proxy/engine/clients/filter.ts',
  'src/proxy/engine/commands/routes.ts',
  'src/proxy/engine/local/client-others.ts',
  'src/proxy/engine/local/client-set.ts',
  'src/proxy/engine/local/client-tracking.ts',
  'src/proxy/engine/pubsub/mode.ts',
  'src/proxy/engine/transactions/allowed.ts',
]);

/** What looks like an error and is said to nobody. */
const HEARD: Record<string, string> = {
  'ERR Function not found': 'what a node says that lacks one',
  'UNBLOCKED force': 'what a node says that is no master any more',
  'UNBLOCKED force unblock': 'what a node says that is no master any more',
  'ERR unknown command': 'a name in the access log',
  'ERR unknown subcommand': 'a name in the access log',
  'ERR wrong number of arguments': 'a name in the access log',
};

interface Said {
  readonly text: string;
  readonly file: string;
}

function sources(): string[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.generated.ts'))
      .map((name) => path.posix.join(folder, name)),
  );
}

function isSaid(file: string, { text, within }: Literal): boolean {
  if (within.some((name) => SAYS_ELSEWHERE.has(name))) return false;
  if (WITH_CODE.test(text) || WITHOUT_CODE.test(text)) return true;
  if (!/\w .*[a-z]/.test(text)) return false;
  return PARTS.has(file) || (file.startsWith(ENGINE) && within.some((name) => SAYS.has(name)));
}

/** Without the minus and the line's end, and as it is when it is sent. */
const plain = (text: string) =>
  text
    .replace(/^-/, '')
    .replace(/(\\r\\n)+$/, '')
    .replace(/\\(['"`\\])/g, '$1')
    .trim()
    .replace(/:$/, ': …');

/** Nothing but a code and what is put in. */
const isEmpty = (text: string) => !/[a-z]/.test(text.replace(/^[A-Z]+ /, ''));

const said: Said[] = sources().flatMap((file) =>
  literalsOf(readText(file))
    .filter((literal) => isSaid(file, literal))
    .map(({ text }) => ({ text: plain(text), file }))
    .filter(({ text }) => !isEmpty(text) && HEARD[text] === undefined),
);

/** The first cells of the page's tables. */
const documented = readText('docs/errors.md')
  .split('\n')
  .flatMap((line) => /^\| `(.+?)` \|/.exec(line.replaceAll('\\|', '\u0000'))?.[1] ?? [])
  .map((text) => text.replaceAll('\u0000', '|'));

const pattern = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&').replaceAll('…', '.+');

/** True when the page has it, or has it behind the words that are put before it. */
function isDocumented(text: string): boolean {
  const whole = new RegExp(`(^|^[A-Z]+ |: it |: )${pattern(text)}$`);
  return documented.some((each) => whole.test(each) || new RegExp(`^${pattern(each)}$`).test(text));
}

const texts = [...new Set(said.map(({ text }) => text))];
const tails = texts.map((text) => ({ text, ends: new RegExp(`^(.*?)${pattern(text)}$`) }));
/** What others are put behind: `EXECABORT …: `. */
const heads = texts.filter((text) => text.endsWith('…')).map((text) => new RegExp(`^${pattern(text.slice(0, -1))}$`));

/** True when the literals make this text: one of them, or one that ends with a place for another. */
function isMade(text: string): boolean {
  return tails.some((tail) => {
    // What ends with a place for something else makes no text alone, unless the page leaves it open, too.
    if (tail.text.endsWith('…') && !text.endsWith('…')) return false;
    const before = tail.ends.exec(text)?.[1];
    if (before === undefined) return false;
    return /^([A-Z]+ )?$/.test(before) || heads.some((head) => head.test(before));
  });
}

describe('docs/errors.md', () => {
  it('has found the errors that the proxy says', () => {
    expect(said.length).toBeGreaterThan(80);
    expect(documented.length).toBeGreaterThan(60);
    for (const text of ['no upstream host', 'ERR invalid cursor', 'Protocol error: too big inline request']) {
      expect(said.map((each) => each.text)).toContain(text);
    }
  });

  it('has every error', () => {
    const missing = said.filter(({ text }) => !isDocumented(text));
    expect(missing.map(({ text, file }) => `${file}: ${text}`)).toEqual([]);
  });

  it('names no error that there is not', () => {
    expect(documented.filter((text) => !isMade(text))).toEqual([]);
  });

  it('names none twice', () => {
    expect(documented.filter((text, i) => documented.indexOf(text) !== i)).toEqual([]);
  });

  it('sees the texts of every file that puts a code before them', () => {
    const assembling = sources().filter((file) =>
      literalsOf(readText(file)).some(({ text }) => /^-?ERR …(\\r\\n)?$/.test(text)),
    );
    // These get the texts as arguments, or from a file of the table.
    const others = ['src/proxy/engine/core/client.ts', 'src/proxy/engine/local/hello.ts'];
    expect(assembling.filter((file) => !PARTS.has(file) && !others.includes(file))).toEqual([]);
  });
});

describe('literals of a source text', () => {
  it('are found in strings and templates, with the calls around them, and not in comments or patterns', () => {
    const source = [
      "// 'a comment'",
      "const a = /'/.test(b) ? 'one' : f('it\\'s', `two #{g('three')} #{n / 2}`); /* 'no' */",
      'refuse(client, `x #{{ a: 1 }.a} y`);',
    ].join('\n');
    expect(literalsOf(source.replaceAll('#{', '${'))).toEqual([
      { text: 'one', within: [] },
      { text: "it\\'s", within: ['f'] },
      { text: 'three', within: ['f', 'g'] },
      { text: 'two … …', within: ['f'] },
      { text: 'x … y', within: ['refuse'] },
    ]);
  });
});
