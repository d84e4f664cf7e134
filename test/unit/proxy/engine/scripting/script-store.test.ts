import { describe, expect, it } from 'vitest';
import type { Bytes } from '../../../../../src/proxy/engine/bytes.js';
import { LibraryStore } from '../../../../../src/proxy/engine/scripting/library-store.js';
import { ScriptStore } from '../../../../../src/proxy/engine/scripting/script-store.js';
import { sha1 } from '../../../../../src/proxy/engine/scripting/sha1.js';

const store = (scriptsMax = 100, scriptBytesMax = 10_000) =>
  new ScriptStore((size): Bytes => Buffer.alloc(size), { scriptsMax, scriptBytesMax });
const bytes = (text: string): Bytes => Buffer.from(text);

describe('the scripts that a worker remembers', () => {
  it('are found by the digest that the server gave', () => {
    const scripts = store();
    scripts.set('abc', bytes('return 1'));
    expect(scripts.get('abc')?.toString()).toBe('return 1');
    expect(scripts.get('abd')).toBeNull();
  });

  it('include those that were only run', () => {
    const scripts = store();
    const text = bytes('xxreturn 7yy');
    scripts.sawEval(text, 2, 10);
    scripts.sawEval(text, 2, 10);
    text.fill(0);
    expect(scripts.get(sha1(bytes('return 7')))?.toString()).toBe('return 7');
  });

  it('are bounded by number and bytes; the least recently used goes first', () => {
    const scripts = store(3);
    for (const name of ['a', 'b', 'c']) scripts.set(name, bytes(name));
    scripts.get('a');
    scripts.set('d', bytes('d'));
    expect(['a', 'b', 'c', 'd'].filter((name) => scripts.get(name) !== null)).toEqual(['a', 'c', 'd']);
    const small = store(100, 10);
    small.set('one', bytes('123456'));
    small.set('two', bytes('123456'));
    expect(small.get('one')).toBeNull();
    expect(small.get('two')).not.toBeNull();
    small.set('big', bytes('12345678901'));
    expect(small.size).toBe(0);
  });

  it('are bounded when every EVAL is another one', () => {
    const scripts = store(10);
    for (let i = 0; i < 1000; i++) scripts.sawEval(bytes(`return ${1000 + i}`), 0, 11);
    expect(scripts.get(sha1(bytes('return 1999')))).not.toBeNull();
    expect(scripts.get(sha1(bytes('return 1001')))).toBeNull();
    expect(scripts.size).toBeLessThanOrEqual(10);
  });

  it('are all gone after clear', () => {
    const scripts = store();
    scripts.set('a', bytes('a'));
    scripts.sawEval(bytes('return 1'), 0, 8);
    scripts.clear();
    expect(scripts.get('a')).toBeNull();
    expect(scripts.get(sha1(bytes('return 1')))).toBeNull();
    scripts.sawEval(bytes('return 1'), 0, 8);
    expect(scripts.get(sha1(bytes('return 1')))).not.toBeNull();
  });
});

describe('the libraries that a worker remembers', () => {
  const library = (name: string, code = 'code') => ({ name, code, functions: [`${name}1`, `${name}2`] });
  const names = (libraries: LibraryStore, all: string[]) => all.filter((name) => libraries.withFunction(name) !== null);

  it('are those of the last change; what servers had before is offered', () => {
    const libraries = new LibraryStore({ librariesMax: 10, libraryBytesMax: 1000 });
    libraries.offer([library('a')]);
    libraries.offer([library('b')]);
    expect(names(libraries, ['a1', 'A2', 'b1', 'c1'])).toEqual(['a1', 'A2', 'b1']);
    libraries.replace([library('c')]);
    libraries.offer([library('a')]);
    expect(names(libraries, ['a1', 'b1', 'c1'])).toEqual(['c1']);
  });

  it('are bounded', () => {
    const libraries = new LibraryStore({ librariesMax: 2, libraryBytesMax: 100 });
    libraries.replace([library('a'), library('b', 'x'.repeat(97)), library('c'), library('d')]);
    expect(names(libraries, ['a1', 'b1', 'c1', 'd1'])).toEqual(['a1', 'c1']);
  });
});
