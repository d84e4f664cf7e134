import { TopicKind } from './topic.js';

/** The first letter of `message`, `pmessage` and `smessage`. */
const LETTER_M = 109;
const LETTER_P = 112;
const LETTER_S = 115;

/** The kind of a message by its first word, -1 for what is none. No confirmation is so short. */
export function kindOf(length: number, letter: number): number {
  if (length === 7 && letter === LETTER_M) return TopicKind.channel;
  if (length !== 8) return -1;
  return letter === LETTER_P ? TopicKind.pattern : letter === LETTER_S ? TopicKind.shard : -1;
}
