import { DISPATCHERS, EDGES, GATEWAYS, type ExpectedNodes } from '../../protocol/nodes.js'
import { counted } from '../table.js'
import { note, problem, type Finding } from './finding.js'
import type { Znode, Znodes } from './znodes.js'

const KINDS = [
  { kind: 'gateways', noun: 'gateway', path: GATEWAYS, without: 'nobody reaches the cluster' },
  { kind: 'edges', noun: 'edge', path: EDGES, without: 'nobody can watch' },
  { kind: 'dispatchers', noun: 'dispatcher', path: DISPATCHERS, without: 'nobody can post' },
] as const

/** Compares the nodes that are announced with those that should be there. */
export function* judgeCounts(znodes: Znodes, expected: ExpectedNodes): Generator<Finding> {
  for (const { kind, noun, path, without } of KINDS) {
    const announced = count(znodes[kind])
    const wanted = expected[kind]
    const set = `expect --${kind} ${announced}`
    if (announced === 0 && wanted !== 0) {
      // Gateways of older software announce nothing.
      const level = kind === 'gateways' && wanted === undefined ? note : problem
      yield level('nobody_announced', path, `${wanted === undefined ? `no ${noun}` : `none of ${counted(wanted, noun)}`} is announced: ${without}`, `Start ${noun}s; if they run, their logs say what they wait for. Is this the right ZooKeeper and chroot?`)
    } else if (wanted !== undefined && announced < wanted) {
      yield problem('nodes_missing', path, `${wanted - announced} of ${counted(wanted, noun)} ${are(wanted - announced)} gone: ${announced} ${are(announced)} announced`, `Start them again; the ends of their logs say why they ended. If fewer are meant to run, say so: ${set}`)
    } else if (wanted !== undefined && announced > wanted) {
      yield note('nodes_unexpected', path, `${counted(announced, noun)} ${are(announced)} announced, ${wanted} expected`, `If they are meant to run, say so, or the loss of one goes unnoticed: ${set}`)
    }
  }
}

const are = (count: number) => (count === 1 ? 'is' : 'are')

/** Rubbish is no node; an entry that we may not read is one. */
function count(znodes: readonly Znode<unknown>[]): number {
  return znodes.filter(({ content, refused }) => content !== undefined || refused).length
}

/** Nodes that run other software than most do. */
export function* judgeVersions({ gateways, edges, dispatchers }: Pick<Znodes, 'gateways' | 'edges' | 'dispatchers'>): Generator<Finding> {
  const idsOf = new Map<string, string[]>()
  for (const { content } of [...gateways, ...edges, ...dispatchers]) if (content) idsOf.set(content.version, [...(idsOf.get(content.version) ?? []), content.id])
  const [most, ...others] = [...idsOf].sort(([, a], [, b]) => b.length - a.length)
  for (const [version, ids] of others) {
    for (const id of ids) yield note('versions_differ', id, `runs version ${version}; most nodes run ${most![0]}`, 'In the middle of an upgrade that is as it should be: finish it, or roll back.')
  }
}
