import type { Buffer } from 'node:buffer'
import type { Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import { BlockReader } from './block-reader.js'
import { Checker, noFaults, type Faults } from './checker.js'
import { parsePacket } from './goim-packets.js'
import { MarkCounter } from './mark-counter.js'
import { PieceCounter } from './piece-counter.js'
import { receivingSocket } from './receiving-socket.js'
import { dueAt, wallMs, type Schedule } from './schedule.js'
import { parseEvents, parseMessage, PING, PING_FRAME, PONG, PONG_FRAME } from './socket-io-frames.js'
import { ViewerStats } from './stats.js'
import { videoId, type StreamTarget } from './target.js'
import { ViewerStream, type ViewerEvents } from './viewer.js'

/** A thread of viewers. See ViewerThread for who gives the orders. */

export interface ViewerWorkerData {
  readonly memory: SharedArrayBuffer
}

/** Viewers `first`, `first + stride`, ... of all viewers: this thread's share. */
export interface ConnectOrder {
  readonly kind: 'connect'
  readonly targets: readonly StreamTarget[]
  readonly first: number
  readonly stride: number
  readonly end: number
  readonly videos: number
  /** Every so manieth viewer is checked event by event. */
  readonly checkEvery: number
  /** Unix ms at which viewer `first` of all threads is due, and how long after it the next is. */
  readonly startAt: number
  readonly stepMs: number
}

export type Order =
  | ConnectOrder
  /** What is posted from now on; nothing was posted before that counts. */
  | { readonly kind: 'begin'; readonly schedule: Schedule }
  /** Something disturbs the viewers between these times, Unix ms. */
  | { readonly kind: 'disturbed'; readonly from: number; readonly until: number }
  | { readonly kind: 'verify'; readonly accepted: Uint8Array; readonly settled: boolean }
  | { readonly kind: 'close' }

export interface Verdict {
  readonly faults: Faults
  readonly firstError: string | undefined
}

interface Viewer {
  readonly number: number
  readonly video: number
  readonly socket: Socket
  readonly checker: Checker | undefined
  stream: ViewerStream | undefined
  comments: number
  isBack: boolean
}

/** Connects in flight: a server's backlog is 512 at the least. */
const MAX_CONNECTING = 400

const stats = new ViewerStats((workerData as ViewerWorkerData).memory)
const port = parentPort!
const viewers: Viewer[] = []
const counter = new MarkCounter()
const pieces = new PieceCounter()
const faults = noFaults()
let order: ConnectOrder | undefined
let reader = new BlockReader()
let schedule: Schedule | undefined
let disturbed = { from: Infinity, until: Infinity }
let connecting = 0
let closing = false
let firstError: string | undefined

port.on('message', (message: Order) => {
  switch (message.kind) {
    case 'connect':
      return open(message)
    case 'begin':
      schedule = message.schedule
      for (const viewer of viewers) viewer.comments = 0
      return
    case 'disturbed':
      disturbed = message
      return
    case 'verify':
      return port.postMessage(verify(message.accepted, message.settled))
    case 'close':
      closing = true
      for (const { socket, stream } of viewers) {
        stream?.close()
        socket.destroy()
      }
      return port.close()
  }
})

function open(given: ConnectOrder): void {
  order = given
  const { protocol } = given.targets[0]!
  const parsers = { sse: undefined, websocket: parseEvents, 'socket.io': parseMessage, goim: parsePacket }
  if (protocol !== 'sse') reader = new BlockReader(parsers[protocol])
  let next = given.first
  const start = () => {
    while (next < given.end && connecting < MAX_CONNECTING && given.startAt + next * given.stepMs <= wallMs() && !closing) {
      join(given, next, given.startAt + next * given.stepMs)
      next += given.stride
    }
    if (next < given.end && !closing) setTimeout(start, 1)
  }
  start()
}

function join({ targets, videos, checkEvery, stepMs }: ConnectOrder, number: number, due: number): void {
  const target = targets[number % targets.length]!
  const video = number % videos
  const since = stepMs === 0 ? wallMs() : due
  connecting++
  let pending = true
  const settled = () => {
    if (pending) connecting--
    pending = false
  }
  const socket = receivingSocket(target, bytes => read(viewer, bytes))
  const checked = Math.floor(number / videos) % checkEvery === 0
  const viewer: Viewer = { number, video, socket, checker: checked ? new Checker() : undefined, stream: undefined, comments: 0, isBack: false }
  const events: ViewerEvents = {
    ready() {
      settled()
      stats.add('ready')
      stats.joined.record(wallMs() - since)
    },
    comments: (comments, at) => viewer.checker && schedule && take(viewer.checker, viewer, comments, at),
    counted: comments => countIn(viewer, comments),
    malformed(error) {
      faults.malformed++
      firstError ??= error.message
      settled()
    },
  }
  viewer.stream = new ViewerStream(target, socket, reader, events, checked ? undefined : pieces)
  viewers.push(viewer)
  socket.once(target.secure ? 'secureConnect' : 'connect', () => {
    stats.add('connected')
    socket.write(target.request.replace('{video}', videoId(video)))
  })
  socket.on('error', error => (firstError ??= closing ? undefined : error.message))
  socket.once('close', () => {
    settled()
    if (closing) return
    stats.add(viewer.stream?.ready === false ? 'failed' : 'lost')
    faults.lost++
  })
}

/** @param bytes belong to the caller again when this returns */
function read(viewer: Viewer, bytes: Buffer): void {
  const size = bytes.length
  stats.add('reads')
  stats.add('bytes', size)
  const { stream } = viewer
  if (stream) {
    stream.push(bytes)
    // From here on it is only counted.
    if (stream.ready && !viewer.checker && !stream.isCounted) {
      stream.close()
      viewer.stream = undefined
    }
    return
  }
  countIn(viewer, counter.count(bytes))
  const { protocol } = order!.targets[0]!
  if (protocol === 'socket.io' && endsWith(bytes, PING)) viewer.socket.write(PONG)
  else if (protocol === 'websocket' && endsWith(bytes, PING_FRAME)) viewer.socket.write(PONG_FRAME)
}

/** Each ping comes by itself, or last. */
function endsWith(bytes: Buffer, ping: Buffer): boolean {
  return bytes.length >= ping.length && bytes.subarray(bytes.length - ping.length).equals(ping)
}

function countIn(viewer: Viewer, comments: number): void {
  viewer.comments += comments
  stats.add('comments', comments)
}

function take(checker: Checker, viewer: Viewer, comments: ReturnType<BlockReader['read']>, at: number): void {
  const { warm } = schedule!
  for (const comment of comments) {
    checker.take(comment)
    const due = dueAt(schedule!, comment.number)
    if (comment.number >= warm) {
      const histogram = due >= disturbed.from && due < disturbed.until ? stats.disturbed : stats.posted
      histogram.record(at - due)
      if (comment.createdAt !== undefined) stats.accepted.record(at - comment.createdAt)
    }
    if (!viewer.isBack && due > disturbed.from) {
      viewer.isBack = true
      stats.back.record(at - disturbed.from)
    }
  }
  stats.add('comments', comments.length)
}

/** @param settled everyone should have everything by now; else only what came is judged */
function verify(accepted: Uint8Array, settled: boolean): Verdict {
  const { videos } = order!
  const result = { ...faults }
  const expected = new Float64Array(videos)
  for (let number = 0; number < accepted.length; number++) if (accepted[number]) expected[number % videos]!++
  const checked = viewers.filter(({ checker }) => checker !== undefined)
  const orders = new Map<string, number>()
  for (const { checker, video } of checked) {
    result.doubled += checker!.doubled
    result.misplaced += checker!.misplaced
    if (settled) result.missing += checker!.missing(accepted, number => number % videos === video)
    // The same comments in another order: wrong even where events have no ids.
    const key = `${video} ${checker!.count}`
    const first = orders.get(key)
    if (first === undefined) orders.set(key, checker!.order)
    else if (first !== checker!.order) result.misplaced++
  }
  if (settled) for (const { checker, comments, video } of viewers) if (!checker && comments !== expected[video]) result.wrongCount++
  return { faults: result, firstError }
}
