import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import { Random } from '../support/random.js'
import { ChaosViewer, type Address } from './viewer.js'

/** One thread's share of a crowd: viewers that come at an even rate and stay, through whatever gateways there are. */

export interface Share {
  /** Of the first viewer; the share's viewers are every `step`th from there. */
  readonly first: number
  readonly step: number
  readonly viewers: number
  readonly videos: readonly string[]
  readonly perSecond: number
  readonly addresses: readonly Address[]
}

export type Order = { readonly kind: 'addresses'; readonly addresses: readonly Address[] } | { readonly kind: 'count'; readonly last: ReadonlyMap<string, number> } | { readonly kind: 'leave' }

/** `behind`: those that have not had the last comment given for their video. */
export interface Counts {
  readonly ready: number
  readonly behind: number
}

const TICK_MS = 25

const share = workerData as Share
const port = parentPort as MessagePort
const random = new Random(share.first + 1)
let { addresses } = share
const viewers: ChaosViewer[] = []

let due = 0
const coming = setInterval(() => {
  due += (share.perSecond * TICK_MS) / 1_000
  for (; due >= 1 && viewers.length < share.viewers; due--) {
    const number = share.first + viewers.length * share.step
    viewers.push(new ChaosViewer({ name: `viewer-${number}`, videoId: share.videos[number % share.videos.length]!, recent: undefined, address: () => random.pick(addresses) }))
  }
  if (viewers.length === share.viewers) clearInterval(coming)
}, TICK_MS)

port.on('message', (order: Order) => {
  if (order.kind === 'addresses') addresses = order.addresses
  else if (order.kind === 'count') {
    const ready = viewers.filter(({ isReady }) => isReady)
    const behind = ready.filter(({ place, notes }) => place < (order.last.get(notes.videoId) ?? 0))
    port.postMessage({ ready: ready.length, behind: behind.length } satisfies Counts)
  } else {
    clearInterval(coming)
    for (const viewer of viewers) viewer.disconnect()
    port.postMessage(viewers.map(({ notes }) => notes))
    port.close()
  }
})
