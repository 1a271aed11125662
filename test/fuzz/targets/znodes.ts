import fc from 'fast-check'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { Pending } from '../../../gateway/pending.js'
import { place } from '../../../gateway/placement.js'
import { parseDispatcher, parseDrain, parseEdge, parseExpected, parseHoldings, parseMember, printHoldings, printNode } from '../../../protocol/nodes.js'
import { ownersOf } from '../../../registry/ownership.js'
import { View } from '../../../registry/view.js'
import { videoId } from '../grammar.js'
import { hostile } from '../mutate.js'
import { must, readOrRefuse, type Target } from '../target.js'

const nodeId = fc.constantFrom('e1', 'e2', 'd1')
const instance = fc.constantFrom('i1', 'i2')
const url = fc.oneof(fc.constantFrom('http://127.0.0.1:9081', 'https://edge.example:1', 'http://[::1]:5'), fc.webUrl())
const member = { id: nodeId, instance, internalUrl: url, state: fc.constantFrom('up' as const, 'draining' as const), startedAt: fc.nat(), version: fc.constant('0.1.0'), wire: fc.constant(1) }
const edge = fc.record({ ...member, publicUrl: url, capacity: fc.nat({ max: 20 }), viewers: fc.nat({ max: 20 }) }).map(printNode)
const dispatcher = fc.record(member).map(printNode)
const holdings = fc.record({ instance, videos: fc.dictionary(videoId, fc.nat({ max: 30 }), { maxKeys: 5 }).map(videos => new Map(Object.entries(videos))) })
const expected = fc.record({ gateways: fc.nat({ max: 20 }), edges: fc.nat({ max: 20 }), dispatchers: fc.nat({ max: 20 }) }, { requiredKeys: [] }).map(printNode)
const drain = instance.map(instance => printNode({ instance }))

const WORDS = ['"instance":"', '"viewers":', '"capacity":', '"internalUrl":"http://', 'http://x:99999', 'http://\\n', 'file:///etc/passwd', 'javascript:', '"state":"draining"', '"__proto__":{', '"constructor":', 'null', '1e308', '-1', '\\u001b[2J', 'i1\n', 'v 1\n', '__proto__ 1\n', 'constructor 1\n']
/** What holdings are before they are deflated can be broken as well as what they are after. */
const brokenHoldings = hostile(holdings.map(value => inflateRawSync(printHoldings(value))), WORDS).map(text => deflateRawSync(text))

/** Entries of the registry: what is not rubbish goes into a View that lives on, from which viewers are placed. */
export const znodes: Target = {
  name: 'znodes',
  what: "entries of the registry, and a gateway's view made of them",
  cases: 2_000,
  inputs: fc.oneof({ weight: 3, arbitrary: hostile(fc.oneof(edge, dispatcher, drain, expected), WORDS) }, { weight: 1, arbitrary: hostile(holdings.map(printHoldings), WORDS) }, { weight: 2, arbitrary: brokenHoldings }),
  open() {
    const view = new View()
    const pending = new Pending()
    let now = 0
    const refusing = <T>(parse: (data: Buffer) => T, input: Buffer) => readOrRefuse(() => parse(input), 'RubbishError')
    return {
      check(input) {
        const node = refusing(parseEdge, input)
        const peer = refusing(parseDispatcher, input)
        const held = refusing(parseHoldings, input)
        for (const [parse, value] of [[parseEdge, node], [parseDispatcher, peer], [parseDrain, refusing(parseDrain, input)], [parseExpected, refusing(parseExpected, input)]] as const) {
          if (value) must(JSON.stringify(parse(printNode(value))) === JSON.stringify(value), 'not read as it was printed')
        }
        refusing(parseMember, input)
        for (const { internalUrl, version, instance } of [node, peer].filter(each => each !== undefined)) {
          must(/^https?:/.test(new URL(internalUrl).origin), 'a URL that nobody can call')
          must([internalUrl, version, instance].every(text => /^[\x20-\x7e]{0,2048}$/.test(text)), 'text that a terminal or a header cannot take')
        }

        now += 100 + (input[0] ?? 0) * 10
        if (node) view.apply({ kind: 'edge', id: node.id, node }, now)
        if (peer) view.apply({ kind: 'dispatcher', id: peer.id, node: peer }, now)
        if (held) {
          must([...parseHoldings(printHoldings(held)).videos].join() === [...held.videos].join(), 'holdings are not read as they were printed')
          view.apply({ kind: 'holdings', id: input.length % 2 ? 'e1' : 'e2', holdings: held }, now)
        }
        if (!node && !peer && !held) view.apply({ kind: input.length % 3 ? 'edge' : 'holdings', id: input.length % 2 ? 'e1' : 'e2', ...(input.length % 3 ? { node: undefined } : { holdings: undefined }) } as never, now)
        for (const { kind, id } of view.expire(now)) must(kind === 'edge' || kind === 'dispatcher' ? typeof id === 'string' : false, 'forgets what never lingers')

        for (const video of ['v', 'demo', ...[...view.videos()].slice(0, 5)]) {
          const holders = view.subscriptionsOf(video)
          const sum = holders.reduce((all, { viewers, isCounted }) => all + (isCounted ? viewers : 0), 0)
          must(view.viewersOf(video) === sum && Number.isSafeInteger(sum), 'viewers do not add up')
          for (const { edge, viewers } of holders) must(view.holdingsOf(edge.id).get(video) === viewers, 'a holder that holds nothing')
          const placed = place(view, video, pending, { videoShare: 25, backedOff: () => false })
          must(typeof placed === 'string' || (view.edge(placed.id) === placed && placed.viewers < placed.capacity), 'placed where there is no room')
          for (const owner of ownersOf(view, video)) must(owner.state === 'up', 'owned by one that leaves')
        }
      },
    }
  },
}
