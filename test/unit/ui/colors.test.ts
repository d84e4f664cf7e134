import { describe, expect, it } from 'vitest';
import { createColors, stripColors, wantsColors } from '../../../src/ui/colors.js';

const terminal = { isTTY: true };
const pipe = { isTTY: false };

describe('colours', () => {
  it('are for terminals', () => {
    expect(wantsColors(terminal, {})).toBe(true);
    expect(wantsColors(pipe, {})).toBe(false);
    expect(wantsColors({}, {})).toBe(false);
  });

  it('are off with NO_COLOR, whatever else is set, and on a dumb terminal', () => {
    expect(wantsColors(terminal, { NO_COLOR: '1' })).toBe(false);
    expect(wantsColors(terminal, { NO_COLOR: '1', FORCE_COLOR: '1' })).toBe(false);
    expect(wantsColors(terminal, { TERM: 'dumb' })).toBe(false);
    expect(wantsColors(terminal, { NO_COLOR: '' })).toBe(true);
  });

  it('can be forced on and off', () => {
    expect(wantsColors(pipe, { FORCE_COLOR: '1' })).toBe(true);
    expect(wantsColors(terminal, { FORCE_COLOR: '0' })).toBe(false);
  });

  it('leave the text alone when they are off, and come off again when they are on', () => {
    expect(createColors(false).red('text')).toBe('text');
    const colored = createColors(true).red('text');
    expect(colored).not.toBe('text');
    expect(stripColors(colored)).toBe('text');
  });
});
