/** The parts of what `docker` answers in JSON that are used. Everything else may come and go with its versions. */
import * as z from 'zod/mini';

const text = z.string();
const whole = z.number();
/** Engines write an empty map as `null` too. */
const textMap = z.pipe(
  z.nullish(z.record(text, text)),
  z.transform((map) => map ?? {}),
);

function listOf<T extends z.ZodMiniType>(item: T) {
  return z.pipe(
    z.nullish(z.array(item)),
    z.transform((list) => list ?? []),
  );
}

export const versionAnswer = z.object({
  Client: z.object({ Version: text }),
  Server: z.nullish(
    z.object({
      Version: text,
      ApiVersion: z.optional(text),
      Os: z.optional(text),
      Arch: z.optional(text),
      KernelVersion: z.optional(text),
    }),
  ),
});
export type VersionAnswer = z.infer<typeof versionAnswer>;

export const infoAnswer = z.object({
  Name: text,
  NCPU: whole,
  MemTotal: whole,
  Driver: text,
  DockerRootDir: text,
  OperatingSystem: z.optional(text),
  CgroupVersion: z.optional(text),
  SecurityOptions: listOf(text),
  Warnings: listOf(text),
});
export type InfoAnswer = z.infer<typeof infoAnswer>;

const mount = z.object({
  Type: text,
  Name: z.optional(text),
  Source: z.optional(text),
  Destination: text,
  RW: z.boolean(),
});

const portBinding = z.object({ HostIp: z.optional(text), HostPort: z.optional(text) });
const portBindings = z.pipe(
  z.nullish(z.record(text, z.nullish(z.array(portBinding)))),
  z.transform((map) => map ?? {}),
);

const healthState = z.object({
  /** `starting`, `healthy`, `unhealthy` or `none`. */
  Status: text,
  FailingStreak: z.optional(whole),
  Log: listOf(z.object({ ExitCode: whole, Output: text })),
});

export const containerAnswer = z.object({
  Id: text,
  /** With a slash before it. */
  Name: text,
  Created: text,
  /** The image's digest; the name that it was asked for by is in Config. */
  Image: text,
  RestartCount: whole,
  /** The program that it starts. */
  Path: z.optional(text),
  State: z.object({
    /** `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`. */
    Status: text,
    Pid: whole,
    ExitCode: whole,
    OOMKilled: z.boolean(),
    Error: z.optional(text),
    StartedAt: text,
    FinishedAt: text,
    Health: z.nullish(healthState),
  }),
  Config: z.object({
    Image: text,
    User: z.optional(text),
    Labels: textMap,
    Env: listOf(text),
    Cmd: listOf(text),
    /** `CMD-SHELL` and a line, `CMD` and words, `NONE`; missing or empty when there is none. */
    Healthcheck: z.nullish(z.object({ Test: listOf(text) })),
  }),
  HostConfig: z.object({
    NetworkMode: text,
    ReadonlyRootfs: z.boolean(),
    Privileged: z.optional(z.boolean()),
    Memory: whole,
    MemorySwap: z.optional(whole),
    NanoCpus: whole,
    CapDrop: listOf(text),
    SecurityOpt: listOf(text),
    Binds: listOf(text),
    PortBindings: portBindings,
    RestartPolicy: z.object({ Name: text, MaximumRetryCount: z.optional(whole) }),
    LogConfig: z.object({ Type: text, Config: textMap }),
    Ulimits: listOf(z.object({ Name: text, Hard: whole, Soft: whole })),
    Tmpfs: textMap,
  }),
  Mounts: listOf(mount),
  NetworkSettings: z.object({
    Networks: z.pipe(
      z.nullish(z.record(text, z.object({ IPAddress: z.optional(text), NetworkID: z.optional(text) }))),
      z.transform((map) => map ?? {}),
    ),
  }),
});
export type ContainerAnswer = z.infer<typeof containerAnswer>;
export const containerAnswers = z.array(containerAnswer);

export const networkAnswers = z.array(z.object({ Id: text, Name: text, Driver: text, Labels: textMap }));
export type NetworkAnswer = z.infer<typeof networkAnswers>[number];

export const imageAnswers = z.array(
  z.object({
    Id: text,
    RepoTags: listOf(text),
    Created: z.optional(text),
    Architecture: z.optional(text),
    Config: z.nullish(z.object({ Labels: z.optional(textMap), Env: z.optional(listOf(text)) })),
  }),
);
export type ImageAnswer = z.infer<typeof imageAnswers>[number];

/** Lines of `docker top NAME -eo pid,ppid,rss,comm` as numbers and names; the head line and others are left out. */
export function parseTop(output: string): { pid: number; parent: number; memoryBytes: number; program: string }[] {
  return output.split('\n').flatMap((line) => {
    const match = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(.+?)\s*$/.exec(line);
    if (match === null) return [];
    const [, pid, parent, kibibytes, program = ''] = match;
    return [{ pid: Number(pid), parent: Number(parent), memoryBytes: Number(kibibytes) * 1024, program }];
  });
}

/**
 * Lines of `docker logs --timestamps`, which come on two streams, as one list in the order of their times. A line
 * without a time belongs to the one before it.
 */
export function mergeLogs(stdout: string, stderr: string): { time: string; line: string }[] {
  const parse = (text: string) => {
    const lines: { time: string; line: string }[] = [];
    for (const line of text.split(/\r?\n/)) {
      const match = /^(\d{4}-\d\d-\d\dT[\d:.]+Z) ?(.*)$/.exec(line);
      if (match?.[1] !== undefined) lines.push({ time: match[1], line: match[2] ?? '' });
      else if (line !== '') lines.push({ time: lines.at(-1)?.time ?? '', line });
    }
    return lines;
  };
  // Nanoseconds are written with nine digits always, so that texts compare as times do. The sort keeps equal ones.
  return [...parse(stdout), ...parse(stderr)].sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
}
