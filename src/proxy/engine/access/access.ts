import type { Bytes } from '../bytes.js';
import type { Client } from '../core/client.js';
import type { Core } from '../core/core.js';
import { TopicKind } from '../pubsub/topic.js';
import { type Authenticator, WRONG_PASSWORD } from './authenticator.js';
import { Logins } from './logins.js';
import { type AccessSettings, OPEN_ACCESS, type UserSettings } from './settings.js';
import { User } from './user.js';

/** For whom nobody is: no password is right. */
const NOBODY: UserSettings = { name: '', enabled: false, passwords: [], rules: '', readOnly: false, sourceCidrs: [] };

const NO_PASSWORD_SET =
  'ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?';

/** The users of a worker's clients: who may log in, as whom, and what each may do. */
export class Access implements Authenticator {
  /** Who checks logins: this, or what asks others as well. */
  authenticator: Authenticator = this;
  readonly logins: Logins;
  settings: AccessSettings = OPEN_ACCESS;
  private users: ReadonlyMap<string, User> = new Map();
  private readonly nobody: User;

  constructor(private readonly core: Core) {
    this.logins = new Logins(core);
    this.nobody = new User({ ...NOBODY, passwords: ['0'.repeat(64)] }, core.catalog);
    core.guards.add(({ account }) => (account === null || account.unlimited ? null : account));
    this.load();
    core.followers.add(() => this.configure());
  }

  private load(): void {
    this.settings = this.core.settings.access ?? OPEN_ACCESS;
    this.users = new Map(this.settings.users.map((user) => [user.name, new User(user, this.core.catalog)]));
  }

  /** The users, in the order of the configuration. */
  all(): Iterable<User> {
    return this.users.values();
  }

  named(name: string): User | undefined {
    return this.users.get(name);
  }

  /** Whether there may be clients of that user. */
  knows(name: string): boolean {
    return this.users.has(name) || this.core.settings.upstreamAuth != null;
  }

  /** A client has come, or begins anew: it is the default user when that one needs no password. */
  welcome(client: Client): void {
    const user = this.users.get(this.settings.defaultUser);
    const open = user?.enabled === true && user.nopass && user.mayComeFrom(client.address);
    client.authenticated = open;
    client.user = 'default';
    client.account = open ? user : null;
    this.core.admission.welcomed(client);
    this.core.guards.renew(client);
  }

  /**
   * A client has logged in, unless its user has as many connections as it may: then it is told so, and closed.
   * @param name for CLIENT LIST and the like
   * @param account null when somebody else decides what it may do
   * @param done called within the call, with '' or the error to answer with
   */
  admit(client: Client, name: string, account: User | null, done: (error: string) => void): void {
    const error = this.core.admission.enter(client, name);
    if (error !== '') {
      done(error);
      client.reply(this.core.texts.empty, true);
      return;
    }
    client.authenticated = true;
    client.user = name;
    client.account = account;
    this.core.guards.renew(client);
    done('');
  }

  /**
   * A client comes from another process of the same proxy, in which it was this user.
   * @param name null: it was not logged in
   * @param nopass it has shown no password
   * @returns false when it would not be let in any more
   */
  resume(client: Client, name: string | null, nopass: boolean): boolean {
    if (name === null) return true;
    const user = this.users.get(name);
    if (user === undefined || !user.enabled || !user.mayComeFrom(client.address)) return false;
    if (nopass && !user.nopass) return false;
    let refused = '';
    this.admit(client, name, user, (error) => {
      refused = error;
    });
    return refused === '';
  }

  login(client: Client, username: string | null, password: Bytes, done: (error: string) => void): void {
    const name = username ?? this.settings.defaultUser;
    const user = this.users.get(name);
    // It takes as long for users that there are not.
    const hash = this.core.runtime.sha256(password);
    if (username === null && user?.nopass) {
      done(NO_PASSWORD_SET);
      return;
    }
    const right = (user ?? this.nobody).knows(hash);
    if (user === undefined || !right || !user.enabled || !user.mayComeFrom(client.address)) {
      done(WRONG_PASSWORD);
      return;
    }
    this.admit(client, name, user, done);
  }

  /**
   * Other users, or the same ones with other rights. Who has logged in stays so, with what its user may do now, also when
   * the password is another one. Who would not be let in any more, or has subscribed to what its user may not hear any
   * more, is disconnected.
   */
  private configure(): void {
    const { core } = this;
    if (JSON.stringify(core.settings.access ?? OPEN_ACCESS) === JSON.stringify(this.settings)) return;
    this.load();
    let closed = 0;
    for (const client of [...core.clients]) {
      if (client.account === null) {
        if (!client.authenticated) this.welcome(client);
        continue;
      }
      if (this.keep(client, client.account)) continue;
      closed++;
      client.transport.terminate();
      core.left(client);
    }
    if (closed > 0)
      core.runtime.log('info', 'clients were disconnected: their users may not do any more what they did', {
        clients: closed,
      });
  }

  /** Gives a client what its user may do now. False when it must go. */
  private keep(client: Client, before: User): boolean {
    const user = this.users.get(before.name);
    if (user === undefined || !user.enabled || !user.mayComeFrom(client.address)) return false;
    // It has never shown a password, and would have to now.
    if (client.user === 'default' && before.nopass && !user.nopass) return false;
    client.account = user;
    this.core.guards.renew(client);
    if (user.settings.rules === before.settings.rules && user.settings.readOnly === before.settings.readOnly)
      return true;
    // What it has queued was allowed by other rules.
    if (client.details.queued >= 0) client.mode?.refused?.(client);
    for (const { kind, name } of this.core.pubsub.subscribers.topicsOf(client)) {
      if (!user.mayHear(name, kind === TopicKind.pattern)) return false;
    }
    return true;
  }
}
