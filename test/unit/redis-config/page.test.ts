import { describe, expect, it } from 'vitest';
import { resolveDeploySettings } from '../../../src/config/deploy-settings-resolve.js';
import { USER_VARIABLES } from '../../../src/config/deploy-settings-variables.js';
import { parseForgeFile } from '../../../src/config/forge-file.js';
import { OWNED_SETTINGS } from '../../../src/redis-config/owned.js';
import { GENERATED_FROM } from '../../../src/redis-config/settings.generated.js';
import { readText } from '../../support/repository.js';

describe('docs/redis-settings.md', () => {
  const page = readText('docs/redis-settings.md');

  it('names every setting that forge sets, and where to say it instead', () => {
    expect(OWNED_SETTINGS.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });

  it('names every user and its variable', () => {
    for (const [role, { password }] of Object.entries(USER_VARIABLES)) {
      expect(page).toContain(`| \`${role}\` |`);
      expect(page).toContain(password);
    }
  });

  it('names the versions that were asked', () => {
    for (const server of Object.keys(GENERATED_FROM)) expect(page).toContain(server.replace('valkey-', 'Valkey '));
  });

  it.each(['docs/redis-settings.md', 'docs/forge-yaml.md'])(
    'and the page of forge.yaml have deployments that are right: %s',
    (file) => {
      const examples = [...readText(file).matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, text = '']) => text);
      const deployments = examples.filter((text) => /^redis:/m.test(text));
      expect(deployments.length).toBeGreaterThan(0);
      for (const text of deployments) {
        const [cluster] = parseForgeFile(text, file).clusters;
        const sources = { environment: {}, named: false, folder: '/', isOwn: () => false };
        const { problems, settings } = resolveDeploySettings({
          ...sources,
          ...(cluster === undefined ? {} : { cluster }),
        });
        expect(problems).toEqual([]);
        expect(settings.warnings).toEqual([]);
      }
    },
  );
});
