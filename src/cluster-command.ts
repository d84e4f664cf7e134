/** What every command that talks to a cluster shares: who to ask, as whom, and the session that results. */
import { ForgeCommand } from './base-command.js';
import { parseAddressList } from './cluster/address.js';
import { type ClusterFlagValues, clusterFlags, readConnect } from './config/cluster-flags.js';
import { chooseSeeds } from './config/seeds.js';
import { ClusterSession, type OpenSessionOptions } from './operations/session.js';

export abstract class ClusterCommand extends ForgeCommand {
  static override baseFlags = { ...ForgeCommand.baseFlags, ...clusterFlags };

  /** Work with a session that is closed afterwards, whatever happens. */
  protected async withSession<Result>(
    flags: ClusterFlagValues,
    work: (session: ClusterSession) => Promise<Result>,
    options: Pick<OpenSessionOptions, 'also' | 'record'> = {},
  ): Promise<Result> {
    const { text, source } = chooseSeeds({ flag: flags.seed });
    const connect = await readConnect(flags);
    const session = await ClusterSession.open({ seeds: parseAddressList(text), source, connect, ...options });
    try {
      return await work(session);
    } finally {
      session.close();
    }
  }
}
