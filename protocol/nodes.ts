import { Buffer } from 'node:buffer'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { z } from 'zod'
import type { VideoId } from './comment.js'

/** What nodes announce in the registry. Unknown fields are ignored, so that versions can mix. */

/** Where things are in ZooKeeper, under the chroot. */
export const EDGES = '/edges'
export const HOLDINGS = '/holdings'
export const DISPATCHERS = '/dispatchers'
export const DRAIN = '/control/drain'
/** The store that is expected. */
export const STORE = '/control/store'
/** One ephemeral node for each dispatcher, to read ZooKeeper's clock from. */
export const CLOCKS = '/control/clocks'

export const MAX_ZNODE_BYTES = 1_000_000
const MAX_HOLDINGS_BYTES = 64 * 1024 * 1024
const HOLDING = /^([A-Za-z0-9_-]{1,64}) ([0-9]{1,10})$/

const state = z.enum(['up', 'draining'])
const nodeId = z.string().refine(isNodeId)
/** What stands in headers and on operators' terminals: no control characters. */
const plain = (least: number, most: number) => z.string().min(least).max(most).regex(/^[\x20-\x7e]*$/)
const url = z.url({ protocol: /^https?$/ }).regex(/^[\x21-\x7e]{1,2048}$/)

const edgeSchema = z.object({
  id: nodeId,
  /** Random at each start: tells a restarted node from its former self. */
  instance: plain(1, 64),
  internalUrl: url,
  publicUrl: url,
  /** Viewers it can hold. */
  capacity: z.int().min(0),
  viewers: z.int().min(0),
  state,
  /** No dispatcher has answered it for some seconds: its viewers are better off elsewhere. */
  stale: z.boolean().optional(),
  /** Unix ms. */
  startedAt: z.number(),
  version: plain(0, 64),
  wire: z.int(),
})
export type EdgeNode = z.infer<typeof edgeSchema>

const storeSchema = z.object({
  /** Of the store's file, random; its copies have it too. */
  id: plain(1, 64),
  /** Random, and another one when a backup takes the store's place. */
  generation: plain(1, 64),
  /** Where the file is: machine, device and inode. */
  file: plain(1, 256),
  /** The store has made at least so many idempotency keys: a copy from earlier has less. */
  stored: z.int().min(0),
})
/** The store that dispatchers are to have, at /control/store. */
export type ExpectedStore = z.infer<typeof storeSchema>

const dispatcherSchema = edgeSchema.omit({ publicUrl: true, capacity: true, viewers: true, stale: true }).extend({
  /** Its store, once that was accepted as the expected one. */
  store: storeSchema.omit({ stored: true }).optional(),
  /** False: it can store nothing at present. */
  stores: z.boolean().optional(),
})
export type DispatcherNode = z.infer<typeof dispatcherSchema>

const memberSchema = edgeSchema.pick({ id: true, instance: true, internalUrl: true })
/** What every kind of node says of itself. */
export type MemberNode = z.infer<typeof memberSchema>

const drainSchema = z.object({ instance: plain(1, 64) })
/** An operator's wish, at /control/drain/<edgeId>: the instance named leaves; a later one of that id does not. */
export type DrainWish = z.infer<typeof drainSchema>

/** What one edge holds: it speaks for one instance, so that a restarted edge never owns its former self's viewers. */
export interface Holdings {
  readonly instance: string
  /** videoId → viewers. */
  readonly videos: ReadonlyMap<VideoId, number>
}

/** 1–64 of `A–Z a–z 0–9 _ -`: a node's id is also its name in the registry. */
export function isNodeId(text: string): boolean {
  return /^[A-Za-z0-9_-]{1,64}$/.test(text)
}

export class RubbishError extends Error {
  override readonly name = 'RubbishError'
}

export const parseEdge = (data: Buffer): EdgeNode => parse(edgeSchema, data)
export const parseDispatcher = (data: Buffer): DispatcherNode => parse(dispatcherSchema, data)
export const parseMember = (data: Buffer): MemberNode => parse(memberSchema, data)
export const parseDrain = (data: Buffer): DrainWish => parse(drainSchema, data)
export const parseStore = (data: Buffer): ExpectedStore => parse(storeSchema, data)
export const printNode = (node: EdgeNode | DispatcherNode | DrainWish | ExpectedStore): Buffer => Buffer.from(JSON.stringify(node))

/** A line with the instance, then lines `videoId viewers`, deflated. The caller holds the result against MAX_ZNODE_BYTES. */
export function printHoldings({ instance, videos }: Holdings): Buffer {
  let text = `${instance}\n`
  for (const [videoId, viewers] of videos) text += `${videoId} ${viewers}\n`
  return deflateRawSync(text, { level: 1 })
}

/** @throws RubbishError when the bytes are no holdings */
export function parseHoldings(data: Buffer): Holdings {
  let text: string
  try {
    text = inflateRawSync(data, { maxOutputLength: MAX_HOLDINGS_BYTES }).toString()
  } catch (cause) {
    throw new RubbishError('not deflated', { cause })
  }
  const [instance = '', ...lines] = text.split('\n')
  if (instance === '' || lines.pop() !== '') throw new RubbishError('no instance, or cut short')
  const videos = new Map<VideoId, number>()
  for (const line of lines) {
    const match = HOLDING.exec(line)
    if (!match) throw new RubbishError('not a line of holdings')
    videos.set(match[1]!, Number(match[2]))
  }
  return { instance, videos }
}

function parse<T>(schema: z.ZodType<T>, data: Buffer): T {
  let json: unknown
  try {
    json = JSON.parse(data.toString())
  } catch (cause) {
    throw new RubbishError('not JSON', { cause })
  }
  const result = schema.safeParse(json)
  if (!result.success) throw new RubbishError(z.prettifyError(result.error))
  return result.data
}
