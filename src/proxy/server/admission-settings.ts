import type { UserLimitsConfig } from '../config/limits.js';
import type { ProxyConfig } from '../config/schema.js';
import type { AdmissionSettings, UserLimits } from '../engine/admission/settings.js';
import type { Limits } from '../engine/core/limits.js';

const NONE = Number.POSITIVE_INFINITY;
const MS_PER_SECOND = 1000;

/** What the workers are told about who may come in, and how much each user may do. */
export function admissionSettings({ listeners: [listener], overload }: ProxyConfig): AdmissionSettings {
  const { limits } = listener;
  const rate = limits.connection_rate_limit;
  const perUser = userLimits(limits.per_user ?? {}, {});
  const users = listener.users.flatMap(({ name, limits: own }) =>
    own === undefined ? [] : [[name, userLimits(own, limits.per_user ?? {})] as const],
  );
  return {
    maxConnections: limits.max_connections ?? NONE,
    maxConnectionsPerAddress: limits.max_connections_per_address ?? NONE,
    acceptRatePerSecond: rate?.connection_rate_limit_per_sec ?? NONE,
    acceptBurst: rate?.burst ?? rate?.connection_rate_limit_per_sec ?? NONE,
    perUser,
    users: Object.fromEntries(users),
    overload: overload !== undefined,
  };
}

/** What a user does not have of its own it has of all users'. */
function userLimits(own: UserLimitsConfig, all: UserLimitsConfig): UserLimits {
  return {
    maxConnections: own.max_connections ?? all.max_connections ?? NONE,
    commandsPerSecond: own.commands_per_second ?? all.commands_per_second ?? NONE,
    bytesPerSecond: own.bytes_per_second ?? all.bytes_per_second ?? NONE,
  };
}

/** Bounds of each client. */
export function clientLimits({ listeners: [{ limits }] }: ProxyConfig): Partial<Limits> {
  const { max_output_buffer: output = {}, pubsub_output_buffer: pubsub = {} } = limits;
  return {
    clientPendingMax: limits.max_pipeline_depth,
    clientRequestBytesMax: limits.max_request_bytes ?? NONE,
    clientIdleMs: limits.idle_timeout === 0 ? NONE : limits.idle_timeout,
    clientLoginMs: limits.auth_timeout,
    clientRequestMs: limits.request_timeout,
    clientOutputHardBytes: output.hard_bytes ?? NONE,
    clientOutputSoftBytes: output.soft_bytes ?? NONE,
    clientOutputSoftMs: (output.soft_seconds ?? 0) * MS_PER_SECOND,
    pubsubOutputSoftBytes: pubsub.soft_bytes ?? NONE,
    pubsubOutputSoftMs: (pubsub.soft_seconds ?? 0) * MS_PER_SECOND,
  };
}
