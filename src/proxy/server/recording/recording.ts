import os from 'node:os';
import type { ProxyConfig } from '../../config/schema.js';
import type { Recorded } from '../../engine/trace/settings.js';
import type { Logger } from '../logger.js';
import type { Secrets } from '../secrets.js';
import type { Statistic } from '../statistics.js';
import { AccessLog } from './access-log.js';
import { SpanExporter } from './span-exporter.js';

/** At the end, spans may take so long to leave. */
const FAREWELL_MS = 1000;

/** What becomes of the commands that the workers record: lines of the access log, and spans. */
export class Recording {
  private readonly accessLog: AccessLog;
  private readonly exporter: SpanExporter;

  constructor(
    private readonly logger: Logger,
    version: string,
  ) {
    this.accessLog = new AccessLog(logger);
    this.exporter = new SpanExporter(logger, {
      'service.version': version,
      'service.instance.id': `${os.hostname()}:${process.pid}`,
      'host.name': os.hostname(),
      'process.pid': process.pid,
    });
  }

  /** Takes another configuration; the access log is opened anew, too. */
  configure({ access_log: log, tracing }: ProxyConfig, { tracingHeaders }: Secrets): void {
    this.accessLog.configure(log);
    this.exporter.configure(tracing, tracingHeaders);
  }

  /** SIGUSR1: the access log has been renamed. */
  reopen(): void {
    this.accessLog.reopen();
    this.logger.info('the access log was opened again');
  }

  take({ lines, lineCount, spans, spanCounts, droppedLines, droppedSpans }: Recorded): void {
    this.accessLog.take(lines, lineCount, droppedLines);
    this.exporter.take(spans === '' ? [] : spans.split('\n'), spanCounts, droppedSpans);
  }

  statistics(): Statistic[] {
    const one = (name: string, value: number): Statistic => ({
      name,
      value,
      metric: `envoy_${name.replaceAll('.', '_')}`,
      labels: {},
      type: 'counter',
    });
    return [
      one('server.log_lines_dropped', this.logger.dropped),
      one('access_log.logs_written', this.accessLog.written),
      one('access_log.logs_dropped', this.accessLog.dropped),
      one('tracing.opentelemetry.spans_sent', this.exporter.sent),
      one('tracing.opentelemetry.spans_dropped', this.exporter.dropped),
      one('tracing.opentelemetry.export_failure', this.exporter.failures),
    ];
  }

  async stop(): Promise<void> {
    await this.exporter.stop(FAREWELL_MS);
    this.accessLog.close();
  }
}
