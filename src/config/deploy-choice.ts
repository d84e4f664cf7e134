/** Flags that say which part of a deployment is meant. */
import { Flags } from '@oclif/core';

export const deployChoiceFlags = {
  host: Flags.string({
    description: 'A host of forge.yaml, by its name. May be repeated.',
    helpValue: 'NAME',
    multiple: true,
    multipleNonGreedy: true,
  }),
  node: Flags.string({
    description: 'A node of forge.yaml. May be repeated.',
    helpValue: 'HOST:PORT',
    multiple: true,
    multipleNonGreedy: true,
  }),
  all: Flags.boolean({ description: 'Everything of forge.yaml.', default: false, exclusive: ['host', 'node'] }),
};
