import { Ask } from '../engine/observe/observer.js';
import { text } from './admin/http.js';
import { bigValues, forget, hotKeys, slowLog } from './admin/observed-pages.js';
import { Recent } from './admin/recent.js';
import { clusters, configDump, listeners, memory, ready, serverInfo } from './admin/server-pages.js';
import { type AdminState, Operator } from './admin/state.js';
import { histograms, resetCounters, stats } from './admin/stats-page.js';
import { refusedVisitor } from './admin/visitors.js';
import type { LogLevel } from './messages.js';

export type { AdminState } from './admin/state.js';

/** No page takes more. */
const BODY_BYTES_MAX = 4096;
/** A connection that says nothing for so long is closed. */
const IDLE_SECONDS = 10;

const LEVELS: readonly string[] = ['debug', 'info', 'warn', 'error'] satisfies LogLevel[];

type Page = (url: URL) => Response | Promise<Response>;

/** Starts the admin HTTP server. @throws when the address cannot be used */
export function startAdmin(host: string, port: number, state: AdminState): { port: number; stop(): void } {
  const recent = new Recent(() => histograms(state));
  const pages = new Pages(state, recent);
  const server = Bun.serve({
    hostname: host,
    port,
    // While a proxy takes over from another one, both are there.
    reusePort: true,
    idleTimeout: IDLE_SECONDS,
    maxRequestBodySize: BODY_BYTES_MAX,
    fetch: (request) => {
      const refusal = refusedVisitor(request.method, request.headers, host);
      return refusal === null ? pages.answer(request) : text(`${refusal}\n`, 403);
    },
    error: (error) => text(`${error.message}\n`, 500),
  });
  return {
    port: server.port ?? port,
    stop: () => {
      recent.stop();
      void server.stop(true);
    },
  };
}

class Pages {
  private readonly operator = new Operator();
  private readonly shown: Readonly<Record<string, Page>>;
  private readonly changing: Readonly<Record<string, Page>>;

  constructor(state: AdminState, recent: Recent) {
    const { operator } = this;
    const { workers } = state;
    const done = () => text('OK\n');
    this.shown = {
      '/ready': () => ready(state, operator),
      '/stats': (url) => stats(url, state, operator, recent),
      '/stats/prometheus': (url) => stats(url, state, operator, recent, 'prometheus'),
      '/clusters': (url) => clusters(url, state),
      '/listeners': (url) => listeners(url, state),
      '/slowlog': (url) => slowLog(url, workers),
      '/hotkeys': (url) => hotKeys(url, workers),
      '/bigvalues': (url) => bigValues(url, workers),
      '/config_dump': () => configDump(state),
      '/server_info': () => serverInfo(state, operator),
      '/memory': () => memory(),
      '/help': () => text(this.help()),
      '/': () => text(this.help()),
    };
    this.changing = {
      '/healthcheck/fail': () => {
        operator.failing = true;
        return done();
      },
      '/healthcheck/ok': () => {
        operator.failing = false;
        return done();
      },
      '/drain_listeners': () => {
        void workers.stopAccepting();
        return done();
      },
      '/logging': (url) => logging(url, state),
      '/reload': (url) => reload(url, state),
      '/reset_counters': () => {
        resetCounters(state, operator);
        return done();
      },
      '/slowlog/clear': () => forget(workers, Ask.slowLog).then(done),
      '/bigvalues/clear': () => forget(workers, Ask.bigValues).then(done),
      '/quitquitquit': () => {
        // Not before this is answered.
        setTimeout(() => state.end('/quitquitquit'), 10);
        return done();
      },
    };
  }

  async answer({ method, url: address }: Request): Promise<Response> {
    const url = URL.parse(address, 'http://admin'); // HTTP/1.0 comes without a host
    if (url === null) return text('no address of a page\n', 400);
    const page = this.shown[url.pathname];
    const changing = this.changing[url.pathname];
    const reads = method === 'GET' || method === 'HEAD';
    if (page !== undefined) return reads ? page(url) : text('this page only shows; use GET\n', 405);
    if (changing !== undefined) {
      return method === 'POST'
        ? changing(url)
        : text(`this page changes something: curl -X POST …${url.pathname}\n`, 405);
    }
    return text(`no such page; there are\n${this.help()}`, 404);
  }

  private help(): string {
    const shown = Object.keys(this.shown).filter((path) => path !== '/');
    return [...shown, ...Object.keys(this.changing).map((path) => `${path} (POST)`)]
      .map((line) => `${line}\n`)
      .join('');
  }
}

/** `POST /reload`, `POST /reload?dry_run`: 200 with what has changed, 409 with why nothing has. */
async function reload(url: URL, state: AdminState): Promise<Response> {
  const outcome = await state.reload(url.searchParams.has('dry_run'));
  return Response.json(outcome, { status: outcome.outcome === 'refused' ? 409 : 200 });
}

function logging(url: URL, state: AdminState): Response {
  const level = url.searchParams.get('level');
  if (level === null || !LEVELS.includes(level)) return text(`level is one of ${LEVELS.join(', ')}\n`, 400);
  state.setLogLevel(level as LogLevel);
  return text(`log_level: ${level}\n`);
}
