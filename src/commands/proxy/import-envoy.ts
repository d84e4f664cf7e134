import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Args, Flags } from '@oclif/core';
import { ForgeCommand, yesFlag } from '../../base-command.js';
import { fileFlag } from '../../config/proxy-flags.js';
import { ForgeError } from '../../errors.js';
import type { Imported } from '../../proxy/control/import-envoy/import.js';

export default class ProxyImportEnvoy extends ForgeCommand {
  static override summary = "Turn an Envoy configuration with redis_proxy into the proxy's own.";
  static override description =
    `Reads a bootstrap or its static_resources (YAML or JSON) and writes YAML that 'forge proxy check' accepts. What could not
be carried over is told on standard error, and in comments. Passwords that stand in the file are not copied: the result
takes them from environment variables, and names them.

Exit code 3: the file is no Envoy configuration, or nothing here can serve what it says.`;
  static override examples = [
    '<%= config.bin %> <%= command.id %> envoy.yaml > proxy.yaml',
    '<%= config.bin %> <%= command.id %> envoy.yaml --output proxy.yaml --json',
  ];

  static override args = {
    file: Args.string({ description: "Envoy's configuration.", required: true }),
  };

  static override flags = {
    ...yesFlag,
    output: fileFlag({ char: 'o', description: 'Where to write the result, in place of standard output.' }),
    listener: Flags.string({
      description: 'The Envoy listener to take where several have a redis_proxy; default the first.',
      helpValue: 'NAME',
    }),
  };

  async run(): Promise<Imported & { file: string; output: string | null }> {
    const { args, flags } = await this.parse(ProxyImportEnvoy);
    const file = path.resolve(args.file);
    const text = await readFile(file, 'utf8').catch((cause) => {
      throw new ForgeError('configuration', `${args.file} cannot be read.`, { cause });
    });
    const { importEnvoy } = await import('../../proxy/control/import-envoy/import.js');
    const imported = importEnvoy(text, args.file, { listener: flags.listener });
    if (flags.output === undefined) this.output.data(imported.yaml.trimEnd());
    else await this.#write(flags.output, imported.yaml);
    for (const { path: place, message } of imported.notes)
      this.output.warning(place === '' ? message : `${place}: ${message}`);
    for (const { name, purpose } of imported.environment)
      this.output.message(`Set ${name} (${purpose}) before the proxy starts.`);
    if (flags.output !== undefined) this.output.data(`Written: ${flags.output}`);
    return { file, output: flags.output ?? null, ...imported };
  }

  async #write(output: string, yaml: string): Promise<void> {
    const refused = (cause: unknown) => new ForgeError('configuration', `${output} cannot be written.`, { cause });
    try {
      await writeFile(output, yaml, { flag: 'wx' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw refused(error);
      await this.confirm(`${output} is there already. Overwrite it?`);
      await writeFile(output, yaml).catch((cause) => {
        throw refused(cause);
      });
    }
  }
}
