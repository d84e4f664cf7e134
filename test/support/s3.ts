/**
 * A real S3 store for tests: OpenStack Swift with its S3 interface (Debian's python3-swift), in one process on loopback. It
 * checks signatures, clocks, regions, MD5 sums and sizes of parts as Amazon does.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import type { S3Settings } from '../../src/config/backup-settings.js';
import { freePorts } from './ports.js';
import { poll } from './redis.js';

const SERVER = fileURLToPath(new URL('s3/server.py', import.meta.url));
/** The system's, into which packages install. */
const PYTHON = '/usr/bin/python3';
const START_MS = 30_000;
const STOP_MS = 5_000;
const OUTPUT_CHARACTERS_MAX = 64 * 1024;

export interface TestS3 {
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of a user with the same secret who may not look into the bucket. */
  readonly strangerKeyId: string;
  /** As commands take them; spread over the test's own environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** For S3Store; `prefix` is a new one each time when it is not told. */
  settings(more?: Partial<S3Settings>): S3Settings;
  /** Another bucket; @returns its name */
  makeBucket(): Promise<string>;
  /** What the server has written to its log, the newest part of it. */
  output(): string;
  /** Ends it at once, as a power cut does, and starts it again on the same data and port. */
  restart(whileDown?: () => Promise<void>): Promise<void>;
  /** Ends it and removes its data. Safe to call twice. */
  stop(): Promise<void>;
}

/** Starts a store with one empty bucket; about a second. Throws with what the server wrote when it does not start. */
export async function startS3(): Promise<TestS3> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'forge-s3-'));
  const ports = await freePorts(4);
  const region = 'us-east-1';
  const accessKeyId = 'test:forge';
  const secretAccessKey = randomBytes(20).toString('hex');
  const strangerKeyId = 'test:stranger';
  const endpoint = `http://127.0.0.1:${ports[0]}`;
  let child: ChildProcess | undefined;
  let written = '';

  const start = async () => {
    let ready = false;
    let over = false;
    const env = {
      ...process.env,
      S3_ACCESS_KEY: accessKeyId,
      S3_SECRET_KEY: secretAccessKey,
      S3_STRANGER_KEY: strangerKeyId,
    };
    child = spawn(PYTHON, [SERVER, folder, ...ports.map(String)], { stdio: ['ignore', 'pipe', 'pipe'], env });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        ready ||= text.includes('ready');
        written = (written + text).slice(-OUTPUT_CHARACTERS_MAX);
      });
    }
    child.once('error', (error) => {
      written += error.message;
      over = true;
    });
    child.once('close', () => {
      over = true;
    });
    await poll('the S3 store starts', START_MS, async () => {
      if (over) throw new Error(`the S3 store ended (apt-get install python3-swift):\n${written}`);
      return ready;
    });
  };
  const end = async () => {
    const running = child;
    child = undefined;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => running.once('close', () => resolve()));
    running.kill('SIGKILL');
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, STOP_MS).unref())]);
  };
  const stop = async () => {
    await end();
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  };
  // It would write a warning for older versions of Node.js.
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
  const makeBucket = async () => {
    const name = `forge-${randomBytes(6).toString('hex')}`;
    const client = new S3Client({
      endpoint,
      region,
      forcePathStyle: true,
      credentials: { accessKeyId, secretAccessKey },
    });
    try {
      await client.send(new CreateBucketCommand({ Bucket: name }));
    } finally {
      client.destroy();
    }
    return name;
  };
  try {
    await start();
    const bucket = await makeBucket();
    return {
      endpoint,
      bucket,
      region,
      accessKeyId,
      secretAccessKey,
      strangerKeyId,
      environment: {
        BACKUP_S3_ENDPOINT: endpoint,
        AWS_REGION: region,
        AWS_ACCESS_KEY_ID: accessKeyId,
        AWS_SECRET_ACCESS_KEY: secretAccessKey,
      },
      settings: (more) => ({
        kind: 's3',
        bucket,
        prefix: `t-${randomBytes(6).toString('hex')}`,
        endpoint,
        region,
        pathStyle: true,
        checksums: 'required',
        credentials: { accessKeyId, secretAccessKey },
        ...more,
      }),
      makeBucket,
      output: () => written,
      restart: async (whileDown) => {
        await end();
        await whileDown?.();
        await start();
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
