import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { SILENCE_MS } from '../protocol/limits.js'
import { SseParser } from '../protocol/sse.js'
import type { GatewayAddress } from './gateway-address.js'
import { authorization, between, GatewayAway, noGateway, parseComment, refusal, type PublicComment } from './gateway-client.js'
import { clockTime, harmless, harmlessLine, type Paint } from './output.js'

const RETRY_MS = 1_000

const gap = z.object({ from: z.string(), to: z.string() })

const ACTS: ReadonlySet<string> = new Set(['deleted', 'pinned', 'settings'])
const shownAct = z.discriminatedUnion('act', [
  z.object({ act: z.literal('deleted'), id: z.string(), target: z.string() }),
  z.object({ act: z.literal('pinned'), id: z.string(), comment: z.looseObject({ id: z.string() }).nullable() }),
  z.object({ act: z.literal('settings'), id: z.string(), slowModeSeconds: z.number(), closed: z.boolean(), signedInOnly: z.boolean() }),
])
/** What a moderator has done, in the output of `tail --json`. */
export type ShownAct = z.infer<typeof shownAct>

export interface TailOptions {
  readonly gateway: GatewayAddress
  readonly videoId: string
  /** The number of past comments to begin with. */
  readonly recent: number
  readonly signal: AbortSignal
  /** Awaited, so that a slow terminal slows the stream and not our memory. */
  readonly show: (comment: PublicComment) => Promise<void>
  /** Awaited, too. */
  readonly showAct: (act: ShownAct) => Promise<void>
  /** Called when the connection is lost or back. */
  readonly notice: (text: string) => void
}

/** Shows a video's comments as they arrive, each once and in order. It reconnects after the last one shown and reads gaps
 * from history. Ends with the signal.
 * @throws Problem if the gateway cannot be reached at first, or refuses */
export async function tail({ gateway, videoId, recent, signal, show, showAct, notice }: TailOptions): Promise<void> {
  let lastEventId = ''
  let connected = false
  let isUp = true
  const line = (up: boolean) => {
    if (up !== isUp) notice(up ? 'connected again' : 'connection lost; reconnecting')
    isUp = up
  }
  const next = async (comment: PublicComment) => {
    await show(comment)
    lastEventId = comment.id
  }
  while (!signal.aborted) {
    const parser = new SseParser()
    const silence = new AbortController()
    const timer = setTimeout(() => silence.abort(), SILENCE_MS)
    try {
      const body = await open(gateway, `/comments/${videoId}?recent=${recent}`, lastEventId, AbortSignal.any([signal, silence.signal]))
      connected = true
      for await (const chunk of body) {
        timer.refresh()
        for (const { event, id, data } of parser.push(chunk)) {
          line(true)
          if (event === 'message') await next(parseComment(data))
          else if (event === 'gap') {
            const { from, to } = gap.parse(JSON.parse(data))
            for await (const missed of between(gateway, videoId, from, to)) await next(missed)
          } else if (ACTS.has(event)) await showAct(shownAct.parse({ act: event, id, ...(JSON.parse(data) as object) }))
          lastEventId = id
        }
      }
    } catch (error) {
      if (signal.aborted) return
      // fetch throws a TypeError for a broken connection, an AbortError when we gave up on a silent one.
      const passes = error instanceof TypeError || error instanceof GatewayAway || silence.signal.aborted
      if (!passes || !connected) throw error
    } finally {
      clearTimeout(timer)
    }
    line(false)
    await sleep(parser.retryMs ?? RETRY_MS, undefined, { signal }).catch(() => {})
  }
}

/** @throws Problem for anything but a stream */
async function open(gateway: GatewayAddress, path: string, lastEventId: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
  const headers = { accept: 'text/event-stream', 'accept-encoding': 'identity', ...authorization(gateway), ...(lastEventId === '' ? {} : { 'last-event-id': lastEventId }) }
  const response = await fetch(gateway.url + path, { headers, signal }).catch((error: unknown) => {
    throw noGateway(gateway, error)
  })
  if (response.status !== 200 || !response.body) throw await refusal(gateway, response)
  return response.body
}

export function commentLine({ authorId, authorName = authorId, content, createdAt }: PublicComment, paint: Paint): string {
  const [first = '', ...more] = harmless(content).split('\n')
  const rest = more.map(line => `\n${' '.repeat(10)}${line}`).join('')
  return `${paint('dim', clockTime(createdAt))}  ${paint('cyan', harmlessLine(authorName))}  ${first}${rest}\n`
}

export function actLine(act: ShownAct, paint: Paint): string {
  return paint('dim', `${' '.repeat(10)}${actText(act)}`) + '\n'
}

function actText(act: ShownAct): string {
  switch (act.act) {
    case 'deleted':
      return `deleted: ${act.target}`
    case 'pinned':
      return act.comment ? `pinned: ${harmlessLine(act.comment.id)}` : 'nothing is pinned any more'
    case 'settings':
      return [act.closed ? 'closed' : 'open', act.slowModeSeconds === 0 ? 'no slow mode' : `slow mode of ${act.slowModeSeconds} s`, act.signedInOnly ? 'signed-in authors only' : 'any author'].join(', ')
  }
}
