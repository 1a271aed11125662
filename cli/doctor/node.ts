import { z } from 'zod'
import type { InternalClient } from '../../runtime/peers/client.js'
import { PeerError, socketError, type PeerFailure } from '../../runtime/peers/peer-error.js'
import { isReachable } from '../../runtime/peers/reachable.js'
import { note, problem, type Finding } from './finding.js'

const TIMEOUT_MS = 1_000
const CLOCK_MS = 1_000
const STALE_SECONDS = 2
/** Share of a process's descriptors beyond which they are low. */
const USED_SHARE = 0.8
/** Descriptors that a part needs beside its viewers' sockets. */
const OWN_DESCRIPTORS = 500
const LOWAT_BYTES = 131_072
/** Age of an event beyond which its web hook should have been called again several times. */
const HOOK_SECONDS = 60
const DAY_MS = 86_400_000
/** Remaining days below which a certificate should have been renewed long ago. */
const CERTIFICATE_DAYS = 7

const refused = z.object({ error: z.object({ message: z.string() }) })
const pong = z.object({ id: z.string(), instance: z.string(), now: z.number().optional() })

/** A process that should be running. */
export interface Expected {
  readonly kind: 'gateway' | 'edge' | 'dispatcher'
  readonly id: string
  /** Undefined for a node that is not announced. */
  readonly instance?: string
  readonly state?: 'up' | 'draining'
  readonly internalUrl: string
  /** The most viewers that an edge takes, by its announcement. */
  readonly capacity?: number
}

/** A process's answers. */
export interface Answers {
  readonly id: string
  readonly instance: string
  /** How far its clock is ahead of ours, ms, and the possible error; undefined if it did not say. */
  readonly clock: { readonly aheadMs: number; readonly withinMs: number } | undefined
  /** Why it takes no work; undefined if it does. */
  readonly notReady?: string | undefined
  /** Its metrics in Prometheus's text format. */
  readonly metrics: string
}

export type Asked = { readonly answers: Answers } | Failure

interface Failure {
  /** `unconnected`: it takes no connection, and does not refuse one either. */
  readonly failure: PeerFailure | 'unconnected'
  readonly status: number | undefined
  /** The system's name for the socket's error, such as `ECONNREFUSED`. */
  readonly code?: string | undefined
}

export async function askNode(client: InternalClient, { internalUrl }: Expected): Promise<Asked> {
  try {
    const notReady = await readiness(client, internalUrl) // opens the connection, so that the clock's question does not wait for it
    const { id, instance, clock } = await ping(client, internalUrl)
    const metrics = await client.call(internalUrl, { method: 'GET', path: '/metrics', timeoutMs: TIMEOUT_MS })
    return { answers: { id, instance, clock, notReady, metrics: metrics.toString() } }
  } catch (error) {
    if (error instanceof PeerError) {
      const failure = error.failure === 'timeout' && !(await isReachable(internalUrl)) ? 'unconnected' : error.failure
      return { failure, status: error.status, code: socketError(error) }
    }
    if (error instanceof SyntaxError || error instanceof z.ZodError) return { failure: 'status', status: undefined }
    throw error
  }
}

async function readiness(client: InternalClient, internalUrl: string): Promise<string | undefined> {
  try {
    await client.call(internalUrl, { method: 'GET', path: '/readyz', timeoutMs: TIMEOUT_MS })
    return undefined
  } catch (error) {
    if (error instanceof PeerError && error.status === 503) return refused.parse(JSON.parse(error.body!.toString())).error.message
    throw error
  }
}

async function ping(client: InternalClient, internalUrl: string): Promise<Pick<Answers, 'id' | 'instance' | 'clock'>> {
  const asked = Date.now()
  const answer = await client.call(internalUrl, { method: 'GET', path: '/internal/ping', timeoutMs: TIMEOUT_MS })
  const answered = Date.now()
  const { id, instance, now } = pong.parse(JSON.parse(answer.toString()))
  return { id, instance, clock: now === undefined ? undefined : { aheadMs: now - (asked + answered) / 2, withinMs: (answered - asked) / 2 } }
}

/** Judges one process by its answers. @param announcedEdges number of edges in the registry @param wall Unix ms */
export function judgeNode(node: Expected, asked: Asked, announcedEdges: number, wall = Date.now()): Finding[] {
  if ('failure' in asked) return [judgeFailure(node, asked)]
  const { id, instance, clock, notReady, metrics } = asked.answers
  if (id !== node.id || (node.instance !== undefined && instance !== node.instance)) {
    return [problem('node_is_another', node.id, `at ${node.internalUrl} another process answers: ${id} (${instance})`, 'A restarted node takes over its entry within seconds. If this lasts, two processes have the same NODE_ID or the same INTERNAL_URL: give each its own.')]
  }
  return [...judgeReadiness(node, notReady), ...judgeClock(node, clock), ...judgeView(node, metrics, announcedEdges), ...judgeDescriptors(node, metrics), ...judgeLowat(node, metrics), ...judgeMigrate(node, metrics), ...judgeCertificate(node, metrics, wall), ...judgeHook(node, metrics), ...judgePeers(node, metrics)]
}

function judgeFailure({ kind, id, internalUrl }: Expected, { failure, status, code }: Failure): Finding {
  if (failure === 'refused' && (code === undefined || code === 'ECONNREFUSED')) return problem('node_refuses', id, `refuses connections at ${internalUrl}: its process has ended`, `Restart it (a local cluster does so by itself); the end of its log says why it ended. Its entry in the registry disappears with its session, within seconds.`)
  if (failure === 'refused' || failure === 'unconnected') return problem('node_unreachable', id, `cannot be reached from here at ${internalUrl} (${failure === 'refused' ? code : 'no connection within 1 s'})`, 'Is its machine up? Check its INTERNAL_URL, the network and the firewall, from here and from the other parts.')
  if (failure === 'timeout') return problem('node_silent', id, `accepts connections at ${internalUrl} but does not answer`, `The process is frozen, stopped (kill -CONT resumes it) or overloaded: look at its CPU and its log. If this lasts, end it with SIGKILL; its ${kind === 'dispatcher' ? 'posts' : 'viewers'} go to others.`)
  if (status === 401) return problem('token_wrong', id, 'does not accept our internal token', 'Give the token with --token or INTERNAL_TOKEN; for a local cluster, run this command where its ./data is.')
  if (failure === 'unproven') return problem('node_unproven', id, `at ${internalUrl} offers no proof that it has our internal token, and was sent nothing`, 'It runs the former version (INTERNAL_PROOF=prefer until all are upgraded), or without INTERNAL_TOKEN; or no part of ours listens there: then look for whoever made the entry.')
  if (failure === 'wire') return problem('node_fails', id, `at ${internalUrl} speaks another wire version`, 'Run the same version on all nodes.')
  return problem('node_fails', id, `at ${internalUrl} ${status !== undefined ? `answered ${status}` : code ? `broke off (${code})` : 'broke off, or answered something that no node of ours would'}`, 'See its log. Is something else listening there?')
}

function* judgeReadiness({ id, state }: Expected, notReady: string | undefined): Generator<Finding> {
  if (notReady === undefined || state === 'draining') return
  yield problem('node_not_ready', id, `is not ready: ${notReady}`, 'It takes no work meanwhile. What it waits for is in its log, and in docs/operators.md under LiveCommentsNotReady.')
}

function* judgeClock({ id }: Expected, clock: Answers['clock']): Generator<Finding> {
  if (!clock || Math.abs(clock.aheadMs) - clock.withinMs <= CLOCK_MS) return
  const seconds = (Math.abs(clock.aheadMs) / 1000).toFixed(1)
  yield problem('clock_off', id, `its clock is ${seconds} s ${clock.aheadMs > 0 ? 'ahead of' : 'behind'} this machine's`, 'Synchronize that machine\'s clock by NTP (timedatectl set-ntp true). If every node is named here, this machine\'s clock is the wrong one.')
}

function* judgeView({ kind, id }: Expected, metrics: string, announcedEdges: number): Generator<Finding> {
  const staleSeconds = sample(metrics, 'live_registry_staleness_seconds') ?? 0
  const advice = 'It goes on with its last view. Look for zookeeper_lost in its log, and check whether it reaches ZooKeeper.'
  if (staleSeconds > STALE_SECONDS) yield problem('view_stale', id, `has not seen the registry for ${staleSeconds.toFixed(0)} s`, advice)
  const edges = sample(metrics, 'live_registry_edges')
  if (kind !== 'edge' && edges !== undefined && edges < announcedEdges) yield problem('view_stale', id, `sees ${edges} of the ${announcedEdges} edges that are announced`, advice)
}

function* judgeDescriptors(node: Expected, metrics: string): Generator<Finding> {
  const open = sample(metrics, 'process_open_fds')
  const most = sample(metrics, 'process_max_fds')
  if (open === undefined || most === undefined) return // not Linux
  const needed = (node.capacity ?? 0) + OWN_DESCRIPTORS
  if (open > USED_SHARE * most) yield problem('descriptors_low', node.id, `has opened ${open} of at most ${most} descriptors`, 'Raise its limit (ulimit -n, LimitNOFILE=, ulimits: in compose) or start more nodes.')
  else if (most < needed) yield onlyHere(node)('descriptors_low', node.id, `may open ${most} descriptors; its capacity needs ${needed}`, 'Raise its limit (ulimit -n, LimitNOFILE=, ulimits: in compose) or lower EDGE_CAPACITY.')
}

/** Rule 10: how many bytes one slow viewer may hold in the kernel. */
function* judgeLowat(node: Expected, metrics: string): Generator<Finding> {
  const bytes = sample(metrics, 'live_tcp_notsent_lowat_bytes')
  if (bytes === undefined || node.kind === 'dispatcher' || bytes <= LOWAT_BYTES) return
  yield onlyHere(node)('lowat_high', node.id, `net.ipv4.tcp_notsent_lowat is ${bytes}: a viewer on a slow line may hold 4 MB of old comments in the kernel before it is noticed`, 'On the machine or in the container: sysctl -w net.ipv4.tcp_notsent_lowat=16384, then restart the part.')
}

/** Where gateways share a port. */
function* judgeMigrate(node: Expected, metrics: string): Generator<Finding> {
  if (sample(metrics, 'live_tcp_migrate_req') !== 0) return
  yield onlyHere(node)('migrate_off', node.id, 'net.ipv4.tcp_migrate_req is 0: when it stops, connections to the port that it shares are reset', 'On the machine (Linux 5.14 or later): sysctl -w net.ipv4.tcp_migrate_req=1. It holds at once.')
}

/** Where the node speaks TLS. */
function* judgeCertificate({ id }: Expected, metrics: string, wall: number): Generator<Finding> {
  if (sample(metrics, 'live_tls_files_usable') === 0) yield problem('certificate_unusable', id, 'cannot use its TLS_CERT_FILE and TLS_KEY_FILE, and goes on with the former certificate', 'tls_files_unusable in its log says why. Put a certificate and its own key there: they are used within seconds.')
  const seconds = sample(metrics, 'live_tls_certificate_expires_timestamp_seconds')
  if (seconds === undefined) return
  const days = (seconds * 1000 - wall) / DAY_MS
  if (days < CERTIFICATE_DAYS) yield problem('certificate_expires', id, days <= 0 ? 'its certificate has expired: browsers refuse it' : `its certificate expires in ${days.toFixed(1)} days`, 'Renew it, and put it where TLS_CERT_FILE and TLS_KEY_FILE are: it is used within seconds, without a restart.')
}

/** Where a web hook is sent what is stored. */
function* judgeHook({ id }: Expected, metrics: string): Generator<Finding> {
  const seconds = sample(metrics, 'live_hook_oldest_undelivered_seconds') ?? 0
  if (seconds > HOOK_SECONDS) yield problem('hook_lags', id, `has had something for the web hook for ${seconds.toFixed(0)} s, and it takes nothing`, 'hook_failed in its log says why. Nothing is lost: it is sent, in order, as soon as HOOK_URL answers 2xx.')
}

/** Where there are several clusters. */
function* judgePeers({ id }: Expected, metrics: string): Generator<Finding> {
  for (const [, peer] of metrics.matchAll(/^live_peer_up\{peer="([a-z0-9-]+)"\} 0$/gm)) {
    yield problem('peer_unreachable', id, `gets no answer from cluster ${peer}`, 'peer_unreachable in its log has the failure. Check the URL in PEERS, the network in between, and PEER_TOKEN and CLUSTER_NAME at both ends. Meanwhile viewers here see of the videos at home there what is known here.')
  }
}

/** A problem, but only a note on a machine that serves itself alone. */
function onlyHere({ internalUrl }: Expected): typeof problem {
  return /^(127\.|localhost$|\[::1\]$)/.test(new URL(internalUrl).hostname) ? note : problem
}

/** The value of a metric without labels in the output of `/metrics`. */
export function sample(metrics: string, name: string): number | undefined {
  const line = new RegExp(`^${name} (\\S+)$`, 'm').exec(metrics)
  return line ? Number(line[1]) : undefined
}
