import type { Buffer } from 'node:buffer'
import { z } from 'zod'
import { parse } from './posts.js'

const videoHome = z.object({
  /** Who says this. */
  cluster: z.string(),
  /** The names of all clusters, this one's among them. */
  clusters: z.array(z.string()).readonly(),
  /** The name of the video's home. */
  home: z.string(),
  /** Whether an operator has named it. */
  named: z.boolean(),
  /** The newest id of the video in this cluster's own store; 0 where it has none. */
  head: z.string().regex(/^[0-9]{1,16}$/),
})

/** Which cluster is a video's home, as one cluster has it. */
export type VideoHome = z.infer<typeof videoHome>

/** The same, and as each other cluster has it; null where one has no answer. */
export interface VideoHomes extends VideoHome {
  readonly peers?: Readonly<Record<string, VideoHome | null>> | undefined
}

const videoHomes = videoHome.extend({ peers: z.record(z.string(), videoHome.nullable()).optional() }).nullable()

/** @throws LiveError BAD_REQUEST */
export const parseVideoHome = (bytes: Buffer): VideoHome => parse(videoHome, bytes)

/** Null where the cluster is by itself. @throws LiveError BAD_REQUEST */
export const parseVideoHomes = (bytes: Buffer): VideoHomes | null => parse(videoHomes, bytes)
