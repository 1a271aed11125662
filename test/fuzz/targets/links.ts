import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import { GatewayLink } from '../../../edge/gateway-link.js'
import type { LinkHandlers } from '../../../gateway/link.js'
import { Links } from '../../../gateway/links.js'
import { Upstreams } from '../../../gateway/upstreams.js'
import { END_REASONS } from '../../../protocol/frame.js'
import { MAX_RECENT } from '../../../protocol/limits.js'
import { parseToEdge, parseToGateway, printToEdge, printToGateway, type ToEdge, type ToGateway } from '../../../protocol/link.js'
import { View } from '../../../registry/view.js'
import { EdgeStage } from '../../support/edge-stage.js'
import { FakeClock } from '../../support/fake-clock.js'
import { FakeMember } from '../../support/fake-member.js'
import { edgeNode } from '../../support/nodes.js'
import { cursor, videoId } from '../grammar.js'
import { hostile } from '../mutate.js'
import { must, readOrRefuse, type Target } from '../target.js'

/** Several messages in one input: each is led by its length, two bytes. What is cut is a message too. */
function joinMessages(messages: readonly Buffer[]): Buffer {
  return Buffer.concat(messages.flatMap(message => [Buffer.from([message.length >> 8, message.length & 0xff]), message]))
}

function splitMessages(input: Buffer): Buffer[] {
  const messages: Buffer[] = []
  for (let at = 0; at < input.length; ) {
    const end = at + 2 + (input.length - at > 1 ? input.readUInt16BE(at) : 0)
    messages.push(input.subarray(at + 2, end))
    at = end
  }
  return messages
}

/** Few, so that messages meet. */
const number = fc.oneof({ weight: 9, arbitrary: fc.nat({ max: 4 }) }, { weight: 1, arbitrary: fc.integer({ min: 0, max: 0xffffffff }) })
const reason = fc.constantFrom(...END_REASONS)
const events = fc.constantFrom('', 'id: 20\ndata: {}\n\n', ':\n').map(text => Buffer.from(text))

const toEdge: fc.Arbitrary<ToEdge> = fc.oneof(
  fc.record({ kind: fc.constant('join' as const), join: number, group: number, again: fc.boolean(), videoId, gzip: fc.boolean(), begin: fc.record({ after: fc.option(cursor, { nil: undefined }), recent: fc.nat({ max: MAX_RECENT }) }) }),
  fc.record({ kind: fc.constantFrom('more' as const, 'leave' as const), join: number }),
  fc.record({ kind: fc.constant('weight' as const), group: number, weight: number }),
  fc.record({ kind: fc.constant('ping' as const), nonce: number }),
)

const toGateway: fc.Arbitrary<ToGateway> = fc.oneof(
  fc.record({ kind: fc.constant('flush' as const), group: number, epoch: number, from: cursor, to: cursor, events }),
  fc.record({ kind: fc.constant('piece' as const), join: number, to: cursor, events }),
  fc.record({ kind: fc.constant('ready' as const), join: number, group: number, epoch: number, at: cursor, events, ready: events }),
  fc.record({ kind: fc.constant('joinEnded' as const), join: number, reason }),
  fc.record({ kind: fc.constant('groupEnded' as const), group: number, reason }),
  fc.record({ kind: fc.constant('pong' as const), nonce: number, syncAgeMs: number }),
)

const inputs = <Message>(message: fc.Arbitrary<Message>, print: (message: Message) => Buffer) => hostile(fc.array(message, { maxLength: 12 }).map(list => joinMessages(list.map(print))))

/** A gateway that says anything to an edge with viewers of its own. */
export const edgeLink: Target = {
  name: 'edge-link',
  what: "a gateway's messages on a link, as an edge takes them",
  cases: 500,
  inputs: inputs(toEdge, printToEdge),
  open: () => ({
    async check(input) {
      const stage = new EdgeStage({ capacity: 100 })
      try {
        stage.store('v').posts(5)
        const { outlet } = stage.join('v')
        await stage.clock.advance(10)
        let isClosed = false
        const full = input.length % 2 === 1
        let unsentBytes = 0
        const link: GatewayLink = new GatewayLink(stage.edge, {
          get unsentBytes() {
            return unsentBytes
          },
          send(message) {
            must(!isClosed, 'sent after its end')
            parseToGateway(Buffer.from(message))
            if (full) unsentBytes += 40_000
            return unsentBytes < 1_200_000
          },
          close() {
            if (isClosed) return
            isClosed = true
            link.closed()
          },
        })
        for (const message of splitMessages(input)) {
          if (isClosed) break
          const read = readOrRefuse(() => parseToEdge(message), 'LinkError')
          if (read) must(parses(printToEdge(read), read), 'not printed as it was read')
          link.message(message)
          must(isClosed || read !== undefined, 'garbage, and the link goes on')
          stage.post('v')
          await stage.clock.advance(20)
          must(Number.isSafeInteger(stage.edge.viewers) && stage.edge.viewers >= 1, `${stage.edge.viewers} viewers`)
        }
        await stage.clock.advance(500)
        unsentBytes = 0
        if (!isClosed) link.drained()
        await stage.clock.advance(500)
        if (!isClosed) {
          isClosed = true
          link.closed()
        }
        must(stage.edge.viewers === 1 && stage.edge.subscriptions().get('v') === 1, 'something stays of a link that is gone')
        must(outlet.ids.join() === stage.store('v').ids.slice(5).join(), `a viewer beside it got ${outlet.ids.join()}`)
      } finally {
        stage.edge.stop()
      }
    },
  }),
}

function parses(bytes: Buffer, message: ToEdge): boolean {
  return JSON.stringify(parseToEdge(bytes)) === JSON.stringify(message)
}

/** An edge that says anything to a gateway whose viewers are on it. */
export const gatewayLink: Target = {
  name: 'gateway-link',
  what: "an edge's messages on a link, as a gateway takes them",
  cases: 500,
  inputs: inputs(toGateway, printToGateway),
  open: () => ({
    async check(input) {
      const clock = new FakeClock()
      const sockets: { handlers: LinkHandlers; closed: boolean }[] = []
      const upstreams = new Upstreams({ clock, random: () => 0.5, view: new View(), ping: () => Promise.resolve(undefined), onUsable: () => {} })
      const links = new Links({
        clock,
        upstreams,
        connectLink: (_, handlers) => {
          const socket = { handlers, closed: false }
          sockets.push(socket)
          return {
            send: message => {
              must(!socket.closed, 'sent after its end')
              parseToEdge(Buffer.from(message))
            },
            close: () => void (socket.closed = true),
          }
        },
        connect: () => ({ abort: () => {}, pause: () => {}, resume: () => {} }),
        gzip: { level: 6, minViewers: 4 },
      })
      try {
        // Groups are 1 and 3, joins 2, 4 and 5.
        const members = [{ cursor: 10 }, { cursor: 10, videoId: 'w' }, { recent: 5 }].map(given => new FakeMember(given))
        const node = edgeNode('e')
        for (const member of members) {
          member.takesNothing = true
          links.join(node, member)
        }
        members[0]!.stuck = true
        const [socket] = sockets
        socket!.handlers.opened()
        for (const message of splitMessages(input)) {
          if (socket!.closed) break
          const read = readOrRefuse(() => parseToGateway(message), 'LinkError')
          socket!.handlers.message(message)
          must(socket!.closed || read !== undefined, 'garbage, and the link goes on')
          await clock.advance(20)
          if (members[0]!.blocked && message.length % 3 === 0) members[0]!.drain()
        }
        await clock.advance(500)
        for (const { cursor, told, source } of members) {
          must(cursor === undefined || Number.isSafeInteger(cursor), 'a place that is no cursor')
          must(told.length <= 1 && (told.length === 1) === (source === undefined), 'a member is told of its end once, and then is nobody\'s')
        }
        if (!socket!.closed) socket!.handlers.lost('lost')
        must(members.every(({ told, source }) => told.length === 1 && source === undefined), 'somebody stays on a link that is gone')
        await clock.advance(20_000)
        must(links.groups === 0 && links.keptBytes === 0, 'something is kept of a link that is gone')
        for (const member of members) links.join(node, member)
        must(sockets.length === 2, 'the next has no link of its own')
      } finally {
        links.close()
        upstreams.close()
      }
    },
  }),
}
