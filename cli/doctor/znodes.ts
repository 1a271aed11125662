import { DISPATCHERS, DRAIN, EDGES, GATEWAYS, HOLDINGS, MAX_ZNODE_BYTES, parseDispatcher, parseDrain, parseEdge, parseGateway, parseHoldings, RubbishError, type DispatcherNode, type EdgeNode, type GatewayNode, type Holdings } from '../../protocol/nodes.js'
import type { Zk } from '../../registry/zookeeper/client.js'
import type { ConnectString } from '../../registry/zookeeper/connect-string.js'
import { isZkError } from '../../registry/zookeeper/zk-error.js'
import { inParallel } from '../connection.js'
import { number } from '../table.js'
import { note, problem, type Finding } from './finding.js'

/** An edge takes no new video at 95%. */
const BIG_BYTES = 0.8 * MAX_ZNODE_BYTES

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
  /** True if its ACL does not let us read it. */
  readonly refused?: boolean
}

export interface Znodes {
  readonly gateways: readonly Znode<GatewayNode>[]
  readonly edges: readonly Znode<EdgeNode>[]
  readonly holdings: readonly Znode<Holdings>[]
  readonly dispatchers: readonly Znode<DispatcherNode>[]
  readonly wishes: readonly Znode<{ readonly instance: string }>[]
}

/** Reads the registry directly: a view hides rubbish and keeps vanished nodes for a while. */
export async function readZnodes(zk: Zk): Promise<Znodes> {
  const [gateways, edges, holdings, dispatchers, wishes] = await Promise.all([
    readChildren(zk, GATEWAYS, parseGateway),
    readChildren(zk, EDGES, parseEdge),
    readChildren(zk, HOLDINGS, parseHoldings),
    readChildren(zk, DISPATCHERS, parseDispatcher),
    readChildren(zk, DRAIN, parseDrain),
  ])
  return { gateways, edges, holdings, dispatchers, wishes }
}

async function readChildren<T>(zk: Zk, directory: string, parse: (data: Buffer) => T): Promise<Znode<T>[]> {
  const names = await unlessGone(zk.getChildren(directory))
  const entries = await inParallel(names?.names ?? [], name => readZnode(zk, directory, name, parse))
  return entries.filter(entry => entry !== undefined).sort((a, b) => (a.id < b.id ? -1 : 1))
}

/** Undefined if it is gone. */
export async function readZnode<T>(zk: Zk, directory: string, id: string, parse: (data: Buffer) => T): Promise<Znode<T> | undefined> {
  const path = `${directory}/${id}`
  const read = await unlessGone(unlessRefused(zk.getData(path)))
  if (!read) return undefined
  if (read === 'refused') return { path, id, bytes: 0, ephemeral: true, modifiedAt: 0, content: undefined, refused: true }
  const { data, stat } = read
  return { path, id, bytes: data.length, ephemeral: stat.ephemeralOwner !== 0n, modifiedAt: stat.modifiedAt, content: unlessRubbish(() => parse(data)) }
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

function unlessRubbish<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch (error) {
    if (error instanceof RubbishError) return undefined
    throw error
  }
}

/** Judges the registry's entries by themselves. @param at the ZooKeeper that they were read from */
export function judgeZnodes({ gateways, edges, holdings, dispatchers, wishes }: Znodes, at: ConnectString): Finding[] {
  const findings: Finding[] = []
  for (const znode of [...gateways, ...edges, ...holdings, ...dispatchers]) findings.push(...judgeZnode(znode, at))
  const edgeOf = new Map(edges.map(edge => [edge.id, edge]))
  const gatewayOf = new Map(gateways.map(gateway => [gateway.id, gateway]))
  for (const { path, id, content, ephemeral } of holdings) {
    const edge = edgeOf.get(id)
    if (!ephemeral) continue // said above
    if (edge && (!content || !edge.content || edge.content.instance === content.instance)) continue
    findings.push(problem('znode_left_over', path, edge ? 'belongs to another instance than the edge that is announced' : 'belongs to an edge that is not announced', `It should disappear with its session within seconds. If it stays, look for a process of that id that still runs; if there is none, remove it: ${remove(path, at)}`))
  }
  for (const { path, id, content } of wishes) {
    if (content && [edgeOf.get(id), gatewayOf.get(id)].some(node => node?.content?.instance === content.instance)) continue
    findings.push(note('wish_left_over', path, 'asks an instance to drain that is gone', `It has no effect any more. To tidy up: undrain ${id}`))
  }
  return findings
}

function* judgeZnode({ path, id, bytes, ephemeral, content, refused }: Znode<GatewayNode | EdgeNode | DispatcherNode | Holdings>, { servers, chroot }: ConnectString): Generator<Finding> {
  if (refused) {
    yield problem('znode_refused', path, 'cannot be read with our credentials', 'Its node runs with other credentials: give all parts the same ZOOKEEPER_AUTH. Until then no other part sees it.')
    return
  }
  if (!ephemeral) yield problem('znode_left_over', path, 'belongs to no session and stays forever', `No part of ours made it. Remove it: ${remove(path, { servers, chroot })}`)
  if (!content || ('id' in content && content.id !== id)) {
    yield problem('znode_rubbish', path, 'was not written by a node of this software', 'Every node ignores it. It comes from another version, or from other software with the same chroot.')
  }
  if (bytes > BIG_BYTES) yield problem('znode_big', path, `has ${number(bytes)} of at most ${number(MAX_ZNODE_BYTES)} bytes`, 'At 95% its edge takes no new video. Start more edges, or lower EDGE_CAPACITY so that each holds fewer videos.')
}

function remove(path: string, { servers, chroot }: ConnectString): string {
  return `zkCli.sh -server ${servers} delete ${chroot}${path}`
}
