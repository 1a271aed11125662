import {
  CLUSTER, DISPATCHERS, DRAIN, EDGES, EXPECTED, GATEWAYS, HOLDINGS, HOMES, MAX_EXPECTED, MAX_ZNODE_BYTES, parseCluster, parseDispatcher, parseDrain, parseEdge, parseExpected, parseGateway, parseHoldings, parseHome, parsePlacement,
  parseStore, PLACEMENT, RubbishError, STORE, type DispatcherNode, type EdgeNode, type GatewayNode, type Holdings,
} from '../../protocol/nodes.js'
import type { Zk } from '../../registry/zookeeper/client.js'
import type { ConnectString } from '../../registry/zookeeper/connect-string.js'
import { isZkError } from '../../registry/zookeeper/zk-error.js'
import { inParallel } from '../../runtime/in-parallel.js'
import { number } from '../table.js'
import { note, problem, type Finding } from './finding.js'

/** An edge takes no new video at 95%. */
const BIG_BYTES = 0.8 * MAX_ZNODE_BYTES
const REASON_CHARACTERS = 100

/** An entry of the registry as it is, even if it cannot be parsed or read. */
export interface Znode<T> {
  readonly path: string
  readonly id: string
  readonly bytes: number
  /** Whether it disappears with its session. */
  readonly ephemeral: boolean
  /** Unix ms, by ZooKeeper's clock. */
  readonly modifiedAt: number
  /** Undefined for rubbish, and if we may not read it. */
  readonly content: T | undefined
  /** Why it is rubbish, in one line. */
  readonly rubbish?: string | undefined
  /** True if its ACL does not let us read it. */
  readonly refused?: boolean
}

export interface Znodes {
  readonly gateways: readonly Znode<GatewayNode>[]
  readonly edges: readonly Znode<EdgeNode>[]
  readonly holdings: readonly Znode<Holdings>[]
  readonly dispatchers: readonly Znode<DispatcherNode>[]
  readonly wishes: readonly Znode<{ readonly instance: string }>[]
  /** What is said of the cluster as a whole. */
  readonly settings?: readonly Znode<object>[]
  /** Directories with more entries than are read. */
  readonly crowded?: readonly { readonly path: string; readonly entries: number }[]
}

/** Reads the registry directly: a view hides rubbish and keeps vanished nodes for a while. */
export async function readZnodes(zk: Zk): Promise<Znodes> {
  const crowded: { path: string; entries: number }[] = []
  const children = async <T>(directory: string, parse: (data: Buffer, name: string) => T): Promise<Znode<T>[]> => {
    const names = (await unlessGone(zk.getChildren(directory)))?.names ?? []
    if (names.length > MAX_EXPECTED) crowded.push({ path: directory, entries: names.length })
    return existing(await inParallel(names.slice(0, MAX_EXPECTED), name => readZnode(zk, directory, name, parse)))
  }
  const setting = <T extends object>(path: string, parse: (data: Buffer) => T) => readZnode<object>(zk, '/control', path.slice('/control/'.length), parse)
  const [gateways, edges, holdings, dispatchers, wishes, placement, homes, settings] = await Promise.all([
    children(GATEWAYS, parseGateway),
    children(EDGES, parseEdge),
    children(HOLDINGS, parseHoldings),
    children(DISPATCHERS, parseDispatcher),
    children(DRAIN, parseDrain),
    children(PLACEMENT, parsePlacement),
    children(HOMES, parseHome),
    Promise.all([setting(CLUSTER, parseCluster), setting(EXPECTED, parseExpected), setting(STORE, parseStore)]).then(existing),
  ])
  return { gateways, edges, holdings, dispatchers, wishes, settings: [...settings, ...placement, ...homes], crowded }
}

function existing<T>(entries: readonly (Znode<T> | undefined)[]): Znode<T>[] {
  return entries.filter(entry => entry !== undefined).sort((a, b) => (a.id < b.id ? -1 : 1))
}

/** Undefined if it is gone. */
export async function readZnode<T>(zk: Zk, directory: string, id: string, parse: (data: Buffer, name: string) => T): Promise<Znode<T> | undefined> {
  const path = `${directory}/${id}`
  const read = await unlessGone(unlessRefused(zk.getData(path)))
  if (!read) return undefined
  if (read === 'refused') return { path, id, bytes: 0, ephemeral: true, modifiedAt: 0, content: undefined, refused: true }
  const { data, stat } = read
  return { path, id, bytes: data.length, ephemeral: stat.ephemeralOwner !== 0n, modifiedAt: stat.modifiedAt, ...contentOf(() => parse(data, id)) }
}

async function unlessGone<T>(read: Promise<T>): Promise<T | undefined> {
  try {
    return await read
  } catch (error) {
    if (isZkError(error, 'NO_NODE')) return undefined
    throw error
  }
}

async function unlessRefused<T>(read: Promise<T>): Promise<T | 'refused'> {
  try {
    return await read
  } catch (error) {
    if (isZkError(error, 'NO_AUTH')) return 'refused'
    throw error
  }
}

function contentOf<T>(parse: () => T): Pick<Znode<T>, 'content' | 'rubbish'> {
  try {
    return { content: parse() }
  } catch (error) {
    if (!(error instanceof RubbishError)) throw error
    return { content: undefined, rubbish: error.message.split('\n')[0]!.slice(0, REASON_CHARACTERS) }
  }
}

/** Judges the registry's entries by themselves. @param at the ZooKeeper that they were read from */
export function judgeZnodes({ gateways, edges, holdings, dispatchers, wishes, settings = [], crowded = [] }: Znodes, at: ConnectString): Finding[] {
  const findings: Finding[] = []
  for (const { path, entries } of crowded) findings.push(problem('registry_crowded', path, `has ${number(entries)} entries, of which at most ${number(MAX_EXPECTED)} are read`, 'No cluster of ours has so many nodes: something else writes there. Give the parts ZOOKEEPER_AUTH, run the command secure, and remove what is not theirs.'))
  for (const znode of [...gateways, ...edges, ...holdings, ...dispatchers]) findings.push(...judgeZnode(znode, at))
  for (const znode of [...wishes, ...settings]) findings.push(...judgeContent(znode))
  const edgeOf = new Map(edges.map(edge => [edge.id, edge]))
  const gatewayOf = new Map(gateways.map(gateway => [gateway.id, gateway]))
  for (const { path, id, content, ephemeral } of holdings) {
    const edge = edgeOf.get(id)
    if (!ephemeral) continue // said above
    if (edge && (!content || !edge.content || edge.content.instance === content.instance)) continue
    findings.push(problem('znode_left_over', path, edge ? 'belongs to another instance than the edge that is announced' : 'belongs to an edge that is not announced', `It should disappear with its session within seconds. If it stays, look for a process of that id that still runs; if there is none, remove it: ${remove(path, at)}`))
  }
  for (const { path, id, content } of wishes) {
    if (!content) continue // said above
    if ([edgeOf.get(id), gatewayOf.get(id)].some(node => node?.content?.instance === content.instance)) continue
    findings.push(note('wish_left_over', path, 'asks an instance to drain that is gone', `It has no effect any more. To tidy up: undrain ${id}`))
  }
  return findings
}

function* judgeZnode(znode: Znode<GatewayNode | EdgeNode | DispatcherNode | Holdings>, { servers, chroot }: ConnectString): Generator<Finding> {
  yield* judgeContent(znode)
  const { path, bytes, ephemeral, content, refused } = znode
  if (refused) return
  if (!ephemeral) yield problem('znode_left_over', path, 'belongs to no session and stays forever', `No part of ours made it. Remove it: ${remove(path, { servers, chroot })}`)
  if (content && bytes > BIG_BYTES) yield problem('znode_big', path, `has ${number(bytes)} of at most ${number(MAX_ZNODE_BYTES)} bytes`, 'At 95% its edge takes no new video. Start more edges, or lower EDGE_CAPACITY so that each holds fewer videos.')
}

/** Whether we can read it, and it is what a node of ours writes. */
function* judgeContent({ path, id, content, rubbish, refused }: Znode<object>): Generator<Finding> {
  if (refused) {
    yield problem('znode_refused', path, 'cannot be read with our credentials', 'Its node runs with other credentials: give all parts the same ZOOKEEPER_AUTH. Until then no other part sees it.')
  } else if (!content || ('id' in content && content.id !== id && !path.startsWith('/control/'))) {
    yield problem('znode_rubbish', path, `was not written by a node of this software: ${rubbish ?? 'its id is not its name'}`, 'Every node ignores it. It comes from another version, or from other software with the same chroot.')
  }
}

function remove(path: string, { servers, chroot }: ConnectString): string {
  return `zkCli.sh -server ${servers} delete ${chroot}${path}`
}
