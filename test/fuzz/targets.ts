import type { Target } from './target.js'
import { addresses } from './targets/addresses.js'
import { comments } from './targets/comments.js'
import { content } from './targets/content.js'
import { cursors, severalVideos } from './targets/cursors.js'
import { dispatcherHttp } from './targets/dispatcher-http.js'
import { edgeHttp } from './targets/edge-http.js'
import { edge } from './targets/edge.js'
import { frames } from './targets/frames.js'
import { gatewayHttp, gatewayIdentity } from './targets/gateway-http.js'
import { keySets } from './targets/key-sets.js'
import { edgeLink, gatewayLink } from './targets/links.js'
import { posts } from './targets/posts.js'
import { reviews } from './targets/reviews.js'
import { tokens } from './targets/tokens.js'
import { wire } from './targets/wire.js'
import { znodes } from './targets/znodes.js'

/** Functions, and parts without their sockets. */
export const PARSERS: readonly Target[] = [cursors, severalVideos, comments, content, addresses, tokens, keySets, posts, reviews, wire, frames, znodes, edge, edgeLink, gatewayLink]

/** Whole servers, over real connections. */
export const SERVERS: readonly Target[] = [gatewayHttp, gatewayIdentity, edgeHttp, dispatcherHttp]

export const TARGETS: readonly Target[] = [...PARSERS, ...SERVERS]
