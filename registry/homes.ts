import type { VideoId } from '../protocol/comment.js'
import type { PeerCluster, PeerConfig } from './peer-clusters.js'
import { firstByRendezvous } from './rendezvous.js'
import type { View } from './view.js'

/** What must be the same in all clusters, or two of them may take themselves for one video's home. */
export interface HomeRule {
  /** Of all clusters, in the order of their names. */
  readonly clusters: readonly string[]
  /** DEFAULT_HOME; null where a hash says. */
  readonly defaultHome: string | null
}

/** Which cluster is a video's home: the one that stores its entries and gives them their order. An operator may have named it; else it is
 * DEFAULT_HOME, or the first by a hash of the video and the clusters' names. No cluster has to ask another one: two that each get the
 * first comment of a video at the same time agree. */
export class Homes {
  readonly self: string
  readonly peers: readonly PeerCluster[]
  readonly rule: HomeRule
  readonly #clusters: readonly { readonly id: string; readonly peer: PeerCluster | undefined }[]
  readonly #default: string | undefined
  readonly #named: ReadonlyMap<VideoId, string>

  /** @param named what operators have said, by video */
  constructor(self: string, peers: readonly PeerCluster[], defaultHome: string | undefined, named: ReadonlyMap<VideoId, string>) {
    this.self = self
    this.peers = peers
    this.#default = defaultHome
    this.#named = named
    this.#clusters = [{ id: self, peer: undefined }, ...peers.map(peer => ({ id: peer.name, peer }))]
    this.rule = { clusters: this.#clusters.map(({ id }) => id).sort(), defaultHome: defaultHome ?? null }
  }

  /** The name of the video's home. */
  of(videoId: VideoId): string {
    return this.#cluster(videoId).id
  }

  /** The video's home where it is another cluster; undefined: it is this one. */
  elsewhere(videoId: VideoId): PeerCluster | undefined {
    return this.#cluster(videoId).peer
  }

  /** Whether an operator has named the video's home. A name that is no cluster's counts for nothing. */
  isNamed(videoId: VideoId): boolean {
    return this.#find(this.#named.get(videoId)) !== undefined
  }

  #cluster(videoId: VideoId) {
    return this.#find(this.#named.get(videoId)) ?? this.#find(this.#default) ?? firstByRendezvous(videoId, this.#clusters)!
  }

  #find(name: string | undefined) {
    return name === undefined ? undefined : this.#clusters.find(({ id }) => id === name)
  }
}

/** The homes of videos where there are several clusters; undefined where this one is by itself. @param config checked */
export function homesOf({ CLUSTER_NAME: self, PEERS: peers, DEFAULT_HOME: defaultHome }: PeerConfig, view: Pick<View, 'homes'>): Homes | undefined {
  return self === undefined || peers === undefined ? undefined : new Homes(self, peers, defaultHome, view.homes)
}
