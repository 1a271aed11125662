import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { checkVideoId, type VideoId } from '../protocol/comment.js'
import { checkAct, checkOrder } from '../protocol/entry.js'
import { LiveError } from '../protocol/errors.js'
import { DRAIN, GATEWAYS, parseGateway, printNode, RubbishError, type GatewayNode, type MemberNode } from '../protocol/nodes.js'
import { clusterIdentity } from '../registry/cluster-identity.js'
import { expectedNodes } from '../registry/expected-nodes.js'
import type { Zk } from '../registry/zookeeper/client.js'
import { isZkError, ZkError } from '../registry/zookeeper/zk-error.js'
import type { Clock } from '../runtime/clock.js'
import { json } from '../runtime/http/reply.js'
import type { Router } from '../runtime/http/server.js'
import { inParallel } from '../runtime/in-parallel.js'
import { PeerError } from '../runtime/peers/peer-error.js'
import { projectRoot } from '../runtime/root.js'
import type { Gateway } from './gateway.js'
import { history } from './history.js'
import { MAX_BAN_SECONDS } from './moderation.js'
import { mostWatched, overview, WATCHED, type Overview } from './overview.js'

const FOLDER = '/operators'
const TYPES: Readonly<Record<string, string>> = { 'index.html': 'text/html', 'operators.js': 'text/javascript', 'style.css': 'text/css' }
const HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
}
/** Several operators look at the same overview. */
const KEPT_MS = 2_000
const ANSWER_MS = 1_000
const MAX_BODY_BYTES = 1_024
const UTF_8 = new TextDecoder('utf-8', { fatal: true })
/** In the log of acts. */
const ACTOR = 'operator'

/** What the internal port lets a browser have: the page's files by themselves, and with the token what they ask for. */
export const OPERATORS_PAGE = {
  folder: FOLDER,
  files: new Set([FOLDER, ...Object.keys(TYPES).map(name => `${FOLDER}/${name}`)]),
}

export interface OperatorsDeps {
  readonly gateway: Gateway
  readonly zk: Zk
  readonly clock: Clock
}

const wish = z.object({ id: z.string().min(1).max(64), drain: z.boolean() })
const order = z.object({ videoId: z.string(), act: z.union([z.object({ type: z.literal('deleted'), target: z.string() }), z.object({ type: z.literal('author-banned'), authorId: z.string(), forSeconds: z.int().min(1).max(MAX_BAN_SECONDS) })]) })
const rated = z.object({ videos: z.array(z.object({ videoId: z.string(), perSecond: z.number() })) })

/** The operators' page, on the internal port: nodes and what should be there, hot videos, and what an operator does about them. */
export function routeOperators(router: Router, deps: OperatorsDeps): void {
  for (const [name, type] of Object.entries(TYPES)) {
    const body = readFileSync(join(projectRoot, 'gateway', 'operators', name))
    const reply = { status: 200, headers: { ...HEADERS, 'content-type': `${type}; charset=utf-8` }, body }
    router.route('GET', `${FOLDER}/${name}`, () => reply)
    if (name === 'index.html') router.route('GET', FOLDER, () => reply)
  }
  const { gateway } = deps
  const look = kept(deps.clock, KEPT_MS, () => lookAround(deps))
  router.route('GET', `${FOLDER}/overview`, async () => json(await look(), 200, HEADERS))
  router.route('GET', `${FOLDER}/comments/:videoId`, exchange => history(gateway, checkVideoId(exchange.parameter(0)), new URLSearchParams({ pageSize: '30' })))
  router.route('POST', `${FOLDER}/acts`, async exchange => {
    await perform(deps, read(order, await exchange.body(MAX_BODY_BYTES), 'an act is deleted with a target, or author-banned with an authorId and forSeconds from 1 to a year'))
    return { status: 204 }
  })
  router.route('POST', `${FOLDER}/drain`, async exchange => {
    const { id, drain } = read(wish, await exchange.body(MAX_BODY_BYTES), 'id must be a node\'s id and drain true or false')
    await setDrain(deps, id, drain)
    return { status: 204 }
  })
}

/** What an operator does to a comment, or to who wrote it. */
async function perform({ gateway, clock }: OperatorsDeps, { videoId, act }: z.infer<typeof order>): Promise<void> {
  const done = checkAct(act.type === 'deleted' ? act : { type: act.type, authorId: act.authorId, until: clock.wall() + act.forSeconds * 1_000 })
  await gateway.acts.perform(checkOrder({ videoId: checkVideoId(videoId), key: randomUUID(), actorId: ACTOR, asModerator: true, act: done }), gateway.pauses.lostMs())
}

/** @throws LiveError UNAVAILABLE while ZooKeeper is away */
async function lookAround({ gateway, zk, clock }: OperatorsDeps): Promise<Overview> {
  const { view } = gateway
  const pause = () => new Promise<void>(resolve => clock.soon(resolve))
  return fromZookeeper(async () => {
    const [gateways, expected, cluster] = await Promise.all([allGateways(zk), expectedNodes(zk), clusterIdentity(zk)])
    const [watched, rates, silent] = await Promise.all([
      mostWatched(view, WATCHED, pause),
      ratesOf(gateway),
      silentOf(gateway, [...gateways, ...view.edges(), ...view.allDispatchers()]),
    ])
    return overview({ view, watched, gateways, expected, cluster: cluster?.name, rates, silent, at: clock.wall() })
  })
}

async function allGateways(zk: Zk): Promise<GatewayNode[]> {
  const { names } = await zk.getChildren(GATEWAYS)
  const nodes = await inParallel(names, name => entry(zk, `${GATEWAYS}/${name}`, parseGateway))
  return nodes.filter(node => node !== undefined)
}

/** Undefined where there is none, or none that can be read: `doctor` says more about that. */
async function entry<T>(zk: Zk, path: string, parse: (data: Buffer) => T): Promise<T | undefined> {
  try {
    return parse((await zk.getData(path)).data)
  } catch (error) {
    if (isZkError(error, 'NO_NODE') || error instanceof RubbishError) return undefined
    throw error
  }
}

/** Comments a second by video, over all dispatchers that answer and know. */
async function ratesOf({ view, client }: Gateway): Promise<ReadonlyMap<VideoId, number>> {
  const rates = new Map<VideoId, number>()
  await inParallel([...view.allDispatchers()], async ({ instance, internalUrl }) => {
    const answer = await client.call(internalUrl, { method: 'GET', path: '/internal/rates', to: instance, timeoutMs: ANSWER_MS }).catch(noAnswer)
    if (!answer) return
    const { videos } = rated.parse(JSON.parse(answer.toString()))
    for (const { videoId, perSecond } of videos) rates.set(videoId, (rates.get(videoId) ?? 0) + perSecond)
  })
  return rates
}

/** Ids of those that do not answer this gateway, whatever the registry says. */
async function silentOf({ client }: Gateway, nodes: readonly MemberNode[]): Promise<ReadonlySet<string>> {
  const answers = await inParallel(nodes, async ({ id, instance, internalUrl }) => {
    const answer = await client.call(internalUrl, { method: 'GET', path: '/internal/ping', to: instance, timeoutMs: ANSWER_MS }).catch(noAnswer)
    return answer ? [] : [id]
  })
  return new Set(answers.flat())
}

function noAnswer(error: unknown): undefined {
  if (!(error instanceof PeerError)) throw error
}

/** @throws LiveError NOT_FOUND where no edge and no gateway has that id, UNAVAILABLE while ZooKeeper is away */
function setDrain({ gateway, zk }: OperatorsDeps, id: string, drain: boolean): Promise<void> {
  return fromZookeeper(async () => {
    const instance = gateway.view.edge(id)?.instance ?? (/^[^/]+$/.test(id) ? await entry(zk, `${GATEWAYS}/${id}`, parseGateway) : undefined)?.instance
    if (instance === undefined) throw new LiveError('NOT_FOUND', `no edge and no gateway has the id ${id}`)
    if (drain) return zk.put(`${DRAIN}/${id}`, printNode({ instance }))
    await zk.remove(`${DRAIN}/${id}`).catch((error: unknown) => {
      if (!isZkError(error, 'NO_NODE')) throw error
    })
  })
}

async function fromZookeeper<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof ZkError)) throw error
    throw new LiveError('UNAVAILABLE', `ZooKeeper does not answer: ${error.code}`, { cause: error })
  }
}

function read<T>(schema: z.ZodType<T>, bytes: Buffer, rule: string): T {
  try {
    return schema.parse(JSON.parse(UTF_8.decode(bytes)))
  } catch (cause) {
    throw new LiveError('BAD_REQUEST', rule, { cause })
  }
}

/** One call for all who ask within `ms`. A failure is not kept. */
function kept<T>(clock: Clock, ms: number, make: () => Promise<T>): () => Promise<T> {
  let last: { readonly at: number; readonly value: Promise<T> } | undefined
  return () => {
    if (last && clock.now() - last.at < ms) return last.value
    const mine = { at: clock.now(), value: make() }
    last = mine
    mine.value.catch(() => {
      if (last === mine) last = undefined
    })
    return mine.value
  }
}
