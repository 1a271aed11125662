import type { Test } from 'tap'
import { eventsBesideOthers, messagesBesideOthers } from './beside-others.js'
import { cases, Given, type Case } from './cases.js'
import { eventStream, gzippedEventStream } from './event-stream.js'
import { longPoll } from './long-poll.js'
import type { Part } from './stage.js'
import type { Transport } from './watching.js'
import { webSocket } from './web-socket.js'

export const parts: readonly Part[] = ['gateway', 'edge']
export const transports: readonly Transport[] = [eventStream, gzippedEventStream, webSocket, longPoll, eventsBesideOthers, messagesBesideOthers]
/** What every case is tried on. */
export const tried = parts.flatMap(part => transports.filter(({ isOfGateways }) => part === 'gateway' || !isOfGateways).map(transport => ({ part, transport })))

export const isExempt = ({ exempt, notAtEdges }: Case, part: Part, { name }: Transport): boolean => exempt?.[name] !== undefined || (part === 'edge' && notAtEdges !== undefined)

/** What a test of a case is called: main.ts reads it again. */
export const titleOf = (part: Part, transport: Transport, { name }: Case): string => `${part}, ${transport.name}: ${name}`

/** Tries the cases that are long, or those that are not, on every transport of every part: one after the other, but all transports at
 * a time, since most of them wait. */
export async function conform(t: Test, isLong: boolean): Promise<void> {
  t.jobs = tried.length
  await Promise.all(tried.map(({ part, transport }) => t.test(`${part}, ${transport.name}`, { buffered: true }, async t => {
    for (const each of cases) {
      if ((each.isLong ?? false) !== isLong || isExempt(each, part, transport)) continue
      await t.test(titleOf(part, transport, each), t => each.run(t, new Given(t, part, transport)))
    }
  })))
}
