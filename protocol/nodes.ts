import { Buffer, isUtf8 } from 'node:buffer'
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { z } from 'zod'
import { isVideoId, type VideoId } from './comment.js'

/** The entries that nodes write into the registry. Unknown fields are ignored, so that versions can mix. */

/** Paths in ZooKeeper, under the chroot. */
export const EDGES = '/edges'
export const HOLDINGS = '/holdings'
export const DISPATCHERS = '/dispatchers'
export const GATEWAYS = '/gateways'
export const DRAIN = '/control/drain'
/** An operator's wishes for where viewers are placed. */
export const PLACEMENT = '/control/placement'
export const CLUSTER = '/control/cluster'
/** The clusters that operators have made the homes of videos, where there are several. */
export const HOMES = '/control/homes'
export const EXPECTED = '/control/expected'
/** The store that is expected. */
export const STORE = '/control/store'
/** One ephemeral node for each dispatcher, to read ZooKeeper's clock from. */
export const CLOCKS = '/control/clocks'

/** Most bytes of data in one write. A server hangs up on a request over about 1,048,500 bytes. */
export const MAX_ZNODE_BYTES = 1_000_000
/** Most nodes of a kind, expected or entered. */
export const MAX_EXPECTED = 10_000
/** Most videos that an edge announces: as many as fit into a znode if their ids are short and random. */
export const MAX_HELD_VIDEOS = 100_000
/** Of an entry in JSON: three times what the longest URLs and names make. */
const MAX_JSON_BYTES = 16 * 1024
const INSTANCE = /^[\x20-\x7e]{1,64}$/
/** Of a number of viewers. */
const MAX_DIGITS = 10
const MAX_VIDEO_ID = 64
const [LINE_FEED, SPACE, ZERO] = [10, 32, 48]
/** By code: whether a video's id may contain that character. */
const IN_VIDEO_ID = Uint8Array.from({ length: 256 }, (_, code) => Number(/[A-Za-z0-9_-]/.test(String.fromCharCode(code))))
/** Of a list of holdings, inflated: that many of the longest lines, behind the longest instance. */
const MAX_HOLDINGS_BYTES = 65 + MAX_HELD_VIDEOS * 76

const state = z.enum(['up', 'draining'])
const nodeId = z.string().refine(isNodeId)
/** Printable ASCII: the text goes into headers and onto operators' terminals. */
const plain = (least: number, most: number) => z.string().min(least).max(most).regex(/^[\x20-\x7e]*$/)
const url = z.url({ protocol: /^https?$/ }).regex(/^[\x21-\x7e]{1,2048}$/)

const edgeSchema = z.object({
  id: nodeId,
  /** Random at each start: distinguishes a restarted node from the former process. */
  instance: plain(1, 64),
  internalUrl: url,
  publicUrl: url,
  /** The most viewers it takes. */
  capacity: z.int().min(0),
  viewers: z.int().min(0),
  state,
  /** True if no dispatcher has answered the edge for some seconds: its viewers are better off elsewhere. */
  stale: z.boolean().optional(),
  /** Unix ms. */
  startedAt: z.number(),
  version: plain(0, 64),
  wire: z.int(),
  /** True: it knows acts as well as comments. */
  entries: z.boolean().optional(),
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
  /** False: it can store nothing at present, or its clock is wrong; another dispatcher is asked first. */
  fit: z.boolean().optional(),
})
export type DispatcherNode = z.infer<typeof dispatcherSchema>

const gatewaySchema = edgeSchema.pick({ id: true, instance: true, internalUrl: true, publicUrl: true, viewers: true, state: true, startedAt: true, version: true, wire: true, entries: true })
/** A gateway is there for operators alone: no part looks at it. */
export type GatewayNode = z.infer<typeof gatewaySchema>

const memberSchema = edgeSchema.pick({ id: true, instance: true, internalUrl: true })
/** The fields that every kind of node announces. */
export type MemberNode = z.infer<typeof memberSchema>

/** A restarted node is another one. */
export function instanceKey({ id, instance }: MemberNode): string {
  return `${id} ${instance}`
}

const drainSchema = z.object({ instance: plain(1, 64) })
/** An operator's request at /control/drain/<id>, for an edge or a gateway: this instance is to drain, a later one of that
 * id is not. */
export type DrainWish = z.infer<typeof drainSchema>

const spreadSchema = z.object({ edges: z.int().min(1).max(MAX_EXPECTED) })
/** An operator's wish at /control/placement/spread:<videoId>: that the video's viewers be on so many edges. */
export type SpreadWish = z.infer<typeof spreadSchema>

const rebalanceSchema = z.object({
  /** Unix ms. */
  until: z.int().min(0),
})
/** An operator's wish at /control/placement/rebalance: that until then every edge have its share of the viewers, as nearly as whole
 * videos allow. */
export type RebalanceWish = z.infer<typeof rebalanceSchema>

export const REBALANCE = 'rebalance'
const SPREAD = 'spread:'
const IS_SPREAD = /^spread:[A-Za-z0-9_-]{1,64}$/
export const spreadName = (videoId: VideoId): string => SPREAD + videoId
export const spreadVideo = (name: string): VideoId => name.slice(SPREAD.length)

/** A cluster's name in PEERS: 1–32 of `a–z 0–9 -`. */
export function isClusterName(text: string): boolean {
  return /^[a-z0-9-]{1,32}$/.test(text)
}

const homeSchema = z.object({ cluster: z.string().refine(isClusterName) })
/** An operator's word at /control/homes/<videoId>: that this cluster is the video's home. */
export type NamedHome = z.infer<typeof homeSchema>

const clusterSchema = z.object({
  /** Random, and the cluster's for as long as it lives. */
  id: plain(1, 64),
  /** What its operators call it. */
  name: plain(1, 64),
})
/** Which cluster the registry is of, at /control/cluster. */
export type ClusterIdentity = z.infer<typeof clusterSchema>

const count = z.int().min(0).max(MAX_EXPECTED).optional()
const expectedSchema = z.object({ gateways: count, edges: count, dispatchers: count })
/** How many nodes of each kind should be there, at /control/expected; absent: nobody has said. */
export type ExpectedNodes = z.infer<typeof expectedSchema>

/** The videos that one instance of an edge holds. A restarted edge is not taken to have the former instance's viewers. */
export interface Holdings {
  readonly instance: string
  /** videoId → viewers. */
  readonly videos: ReadonlyMap<VideoId, number>
}

/** Whether it is 1–64 of `A–Z a–z 0–9 _ -`. */
export function isNodeId(text: string): boolean {
  return /^[A-Za-z0-9_-]{1,64}$/.test(text)
}

export class RubbishError extends Error {
  override readonly name = 'RubbishError'
}

export const parseEdge = (data: Buffer): EdgeNode => parse(edgeSchema, data)
export const parseDispatcher = (data: Buffer): DispatcherNode => parse(dispatcherSchema, data)
export const parseGateway = (data: Buffer): GatewayNode => parse(gatewaySchema, data)
export const parseMember = (data: Buffer): MemberNode => parse(memberSchema, data)
export const parseDrain = (data: Buffer): DrainWish => parse(drainSchema, data)
/** @param name of the entry */
export const parsePlacement = (data: Buffer, name: string): SpreadWish | RebalanceWish => (name === REBALANCE ? parseRebalance(data) : parseSpread(data, name))
export const parseRebalance = (data: Buffer): RebalanceWish => parse(rebalanceSchema, data)
export const parseCluster = (data: Buffer): ClusterIdentity => parse(clusterSchema, data)
/** @param name of the entry */
export function parseHome(data: Buffer, name: string): NamedHome {
  if (!isVideoId(name)) throw new RubbishError('not the id of a video')
  return parse(homeSchema, data)
}
export const parseExpected = (data: Buffer): ExpectedNodes => parse(expectedSchema, data)
export const parseStore = (data: Buffer): ExpectedStore => parse(storeSchema, data)
export const printNode = (node: EdgeNode | DispatcherNode | GatewayNode | DrainWish | ClusterIdentity | ExpectedNodes | ExpectedStore | SpreadWish | RebalanceWish | NamedHome): Buffer => Buffer.from(JSON.stringify(node))

export function parseSpread(data: Buffer, name: string): SpreadWish {
  if (!IS_SPREAD.test(name)) throw new RubbishError('neither rebalance nor spread:<videoId>')
  return parse(spreadSchema, data)
}

/** A line with the instance, then lines `videoId viewers`, deflated. The result may exceed MAX_ZNODE_BYTES. */
export function printHoldings({ instance, videos }: Holdings): Buffer {
  let text = `${instance}\n`
  for (const [videoId, viewers] of videos) text += `${videoId} ${viewers}\n`
  return deflateRawSync(text, { level: 1 })
}

/** @throws RubbishError if the bytes are not holdings, or more than an edge announces */
export function parseHoldings(data: Buffer): Holdings {
  if (data.length > MAX_ZNODE_BYTES) throw tooLong(data, MAX_ZNODE_BYTES)
  let list: Buffer
  try {
    list = inflateRawSync(data, { maxOutputLength: MAX_HOLDINGS_BYTES })
  } catch (cause) {
    const isTooLong = (cause as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
    throw new RubbishError(isTooLong ? `inflates to more than ${MAX_HOLDINGS_BYTES} bytes` : 'not deflated', { cause })
  }
  const end = list.indexOf(LINE_FEED)
  const instance = list.toString('latin1', 0, Math.max(0, end))
  if (!INSTANCE.test(instance) || list.at(-1) !== LINE_FEED) throw new RubbishError('no instance, or cut short')
  const videos = new Map<VideoId, number>()
  for (let at = end + 1; at < list.length; ) at = parseHolding(list, at, videos)
  return { instance, videos }
}

/** Adds the video whose line begins at `at`. Its id is a copy: a part of a long text would keep all of that text in memory for
 * as long as the video is watched. @returns where the next line begins @throws RubbishError */
function parseHolding(list: Buffer, at: number, videos: Map<VideoId, number>): number {
  let i = at
  while (IN_VIDEO_ID[list[i]!]) i++
  const idEnd = i
  let viewers = 0
  for (i++; list[i]! >= ZERO && list[i]! < ZERO + 10; i++) viewers = 10 * viewers + list[i]! - ZERO
  const digits = i - idEnd - 1
  const isHolding = idEnd > at && idEnd - at <= MAX_VIDEO_ID && list[idEnd] === SPACE && digits > 0 && digits <= MAX_DIGITS && list[i] === LINE_FEED
  const videoId = isHolding ? list.toString('latin1', at, idEnd) : ''
  if (!isHolding || videos.has(videoId)) throw new RubbishError('not a line of holdings, or a video twice')
  if (videos.size === MAX_HELD_VIDEOS) throw new RubbishError('too many videos')
  videos.set(videoId, viewers)
  return i + 1
}

function parse<T>(schema: z.ZodType<T>, data: Buffer): T {
  if (data.length > MAX_JSON_BYTES) throw tooLong(data, MAX_JSON_BYTES)
  if (!isUtf8(data)) throw new RubbishError('not UTF-8')
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

function tooLong({ length }: Buffer, most: number): RubbishError {
  return new RubbishError(`${length} bytes, at most ${most}`)
}
