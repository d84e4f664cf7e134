import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readTemplate, redisConfQuote, redisConfUnquote, renderTemplate } from '../../../src/runtime/template.js';

describe('renderTemplate', () => {
  it('puts every value in its place', () => {
    expect(renderTemplate('port {{port}}\nbind {{bind}} {{bind}}', { port: 7001, bind: '127.0.0.1' })).toBe(
      'port 7001\nbind 127.0.0.1 127.0.0.1',
    );
  });

  it('refuses a placeholder without a value', () => {
    expect(() => renderTemplate('{{port}}', {})).toThrow('no value for {{port}}');
  });

  it('refuses a value without a placeholder, which is mostly a spelling mistake', () => {
    expect(() => renderTemplate('{{port}}', { port: 1, prot: 2 })).toThrow('no placeholder for prot');
  });

  it.each(['a\nrequirepass x', 'a\rb', 'a\0b'])('refuses a value that would begin a line of its own: %j', (value) => {
    expect(() => renderTemplate('dir {{dir}}', { dir: value })).toThrow('more than one line');
  });

  it('does not expand what a value holds', () => {
    expect(renderTemplate('{{a}}{{b}}', { a: '{{b}}', b: '$&' })).toBe('{{b}}$&');
  });
});

describe('redisConfQuote', () => {
  const text = fc.string({ unit: fc.constantFrom(...'ax0 #"\'\\\n\r\t\0\x7fé') });

  it('is read back as it was, whatever it holds', () => {
    fc.assert(fc.property(text, (value) => redisConfUnquote(redisConfQuote(value)) === value));
  });

  it('is one line of words that can be printed, whatever it holds', () => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must not be there.
    fc.assert(fc.property(text, (value) => !/[\0-\x1f\x7f]/.test(redisConfQuote(value))));
    expect(redisConfQuote('a\nb')).toBe('"a\\x0ab"');
  });

  it('never ends early', () => {
    expect(redisConfQuote('a "b" \\')).toBe('"a \\"b\\" \\\\"');
  });
});

describe('templates', () => {
  it('are found beside the program', async () => {
    await expect(readTemplate('redis.conf')).resolves.toContain('appendonly yes');
  });

  it('that are missing are a broken installation, and the message says so', async () => {
    await expect(readTemplate('no-such-file')).rejects.toMatchObject({ kind: 'missing' });
  });
});
