export { type AclUser, aclHash, renderAcl } from '../redis-config/acl.js';

/** Every right: for the operator and for forge's own cluster administration. */
export const ADMIN_RULES = '~* &* +@all';
/** Every command on data, none that administers a server; ROLE only tells. What the proxy logs in with. */
export const APP_RULES = '~* &* +@all -@admin +role';
/** What a replica needs at its master, and nothing more (redis.io: ACL rules for Sentinel and replicas). */
export const REPLICATION_RULES = 'resetkeys resetchannels -@all +psync +replconf +ping';
