import type { Buffer } from 'node:buffer'
import { Histogram } from '../measure/histogram.js'
import { wallMs } from './schedule.js'
import { receivingSocket } from './receiving-socket.js'

/** A process of viewers of one video, as many as its descriptors allow: see ManyViewers. It keeps four bytes of each viewer besides its
 * socket. A comment's content begins with `#number@sent;`, and each viewer must get 1, 2, 3 … in this order. */

export type ManyViewersOrder =
  | { readonly kind: 'connect'; readonly host: string; readonly port: number; readonly request: string; readonly ready: string; readonly viewers: number; readonly perSecond: number }
  | { readonly kind: 'count' }
  | { readonly kind: 'times'; readonly number: number }

export interface ManyViewersCount {
  readonly ready: number
  /** Streams that ended before they were ready, and were opened again. */
  readonly turnedAway: number
  /** Streams that ended after that, which none may. */
  readonly lost: number
  /** Comments that came before one that they follow, or again. */
  readonly misplaced: number
  /** Of each comment from the first on, how many viewers have it. */
  readonly have: readonly number[]
}

/** When the viewers of this process got a comment, ms after it was sent. */
export interface ManyViewersTimes {
  readonly counts: readonly number[]
  readonly lastMs: number
}

const MARK = '"#'
const MAX_CONNECTING = 100
const TICK_MS = 20
const AGAIN_MS = 1_000
const JOINING = -1

let order: Extract<ManyViewersOrder, { kind: 'connect' }> | undefined
/** The newest comment of each viewer; JOINING until it is ready. */
let newest = new Int32Array()
/** What came of a viewer's block that is not whole. */
const rest = new Map<number, string>()
let ready = 0
let turnedAway = 0
let lost = 0
let misplaced = 0
let connecting = 0
const have: number[] = []
const times = new Map<number, { readonly histogram: Histogram; lastMs: number }>()

process.on('message', (message: ManyViewersOrder) => {
  switch (message.kind) {
    case 'connect':
      order = message
      newest = new Int32Array(message.viewers).fill(JOINING)
      return openAll(message)
    case 'count':
      return void process.send!({ ready, turnedAway, lost, misplaced, have } satisfies ManyViewersCount)
    case 'times': {
      const known = times.get(message.number)
      return void process.send!({ counts: Array.from(known?.histogram.counts ?? []), lastMs: known?.lastMs ?? 0 } satisfies ManyViewersTimes)
    }
  }
})
process.on('disconnect', () => process.exit())

function openAll({ viewers, perSecond }: { readonly viewers: number; readonly perSecond: number }): void {
  const startAt = performance.now()
  let next = 0
  const timer = setInterval(() => {
    const due = Math.min(viewers, ((performance.now() - startAt) / 1000) * perSecond)
    while (next < due && connecting < MAX_CONNECTING) open(next++)
    if (next === viewers) clearInterval(timer)
  }, TICK_MS)
}

function open(viewer: number): void {
  const { request } = order!
  connecting++
  let opened = false
  const socket = receivingSocket(order!, bytes => receive(viewer, bytes))
  socket.once('connect', () => {
    opened = true
    connecting--
    socket.write(request, 'latin1')
  })
  socket.on('error', () => {}) // 'close' follows
  socket.once('close', () => {
    if (!opened) connecting--
    rest.delete(viewer)
    if (newest[viewer] !== JOINING) return void lost++
    turnedAway++
    setTimeout(() => open(viewer), AGAIN_MS)
  })
}

function receive(viewer: number, bytes: Buffer): void {
  const carried = rest.get(viewer)
  if (newest[viewer] === JOINING) {
    const text = (carried ?? '') + bytes.toString('latin1')
    if (!text.includes(order!.ready)) return void rest.set(viewer, text)
    rest.delete(viewer)
    newest[viewer] = have.length
    ready++
    return
  }
  if (carried === undefined && !bytes.includes(MARK)) {
    // A mark may begin with the last byte.
    if (bytes[bytes.length - 1] === 34) rest.set(viewer, '"')
    return
  }
  const text = (carried ?? '') + bytes.toString('latin1')
  rest.delete(viewer)
  for (let at = text.indexOf(MARK); at >= 0; at = text.indexOf(MARK, at + 1)) {
    const end = text.indexOf(';', at)
    if (end < 0) return void rest.set(viewer, text.slice(at))
    const [number = 0, sent = 0] = text.slice(at + MARK.length, end).split('@').map(Number)
    take(viewer, number, sent)
  }
  if (text.endsWith('"')) rest.set(viewer, '"')
}

function take(viewer: number, number: number, sent: number): void {
  if (number !== newest[viewer]! + 1) misplaced++
  newest[viewer] = number
  while (have.length < number) have.push(0)
  have[number - 1]!++
  const ms = wallMs() - sent
  let known = times.get(number)
  if (!known) times.set(number, (known = { histogram: new Histogram(), lastMs: 0 }))
  known.histogram.record(ms)
  known.lastMs = Math.max(known.lastMs, ms)
}
