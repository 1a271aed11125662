/** What `plan` and `npm run bench -- simulate` count with: every figure that is not an operator's own, with where it was measured or
 * is set. Machines differ: a core here is one of two of a shared virtual machine. `test/cli/plan.test.ts` checks that each source
 * exists. */
export interface Measured {
  readonly value: number
  /** A file of this repository, and what of it. */
  readonly source: string
}

const figure = (value: number, source: string): Measured => ({ value, source })

export const MEASURED = {
  /** Processor of one write of events to a viewer, µs. */
  writeMicroseconds: figure(9.7, 'bench/results/sweep.json: 14.48 s of the edge for 10,000 viewers × 10 comments/s × 15 s; with ten comments a write 8.0 (public.json, the gateway)'),
  /** Processor of a viewer to whom nothing is written, µs a second. */
  idleMicroseconds: figure(2.4, 'bench/results/idle-gateway.json: gateway and edge together'),
  /** Most writes a second to one viewer: comments gather for 0.1 s under load. */
  writesPerSecond: figure(10, 'bench/results/public.json: flushIntervalMs 100'),
  /** Descriptors of a gateway, and those that it keeps from viewers. */
  descriptors: figure(20_000, 'docs/operators.md: a gateway needs viewers + 875; 20,000 was the limit here'),
  ownDescriptors: figure(875, 'docs/operators.md: Descriptors'),
  /** An edge's own work for each comment of each video that it holds, µs. */
  edgeCommentMicroseconds: figure(354, 'bench/results/many.json: 6.76 s of the edge for 15,000 comments, without their 150,000 writes'),
  /** An edge takes so many viewers unless it is told otherwise, and so many of one video. */
  edgeCapacity: figure(15_000, 'edge/config.ts: EDGE_CAPACITY'),
  videoShare: figure(10_000, 'gateway/config.ts: EDGE_VIDEO_SHARE'),
  /** Videos that an edge can announce with room to spare. */
  edgeVideos: figure(20_000, 'test/protocol/nodes.test.ts: 20,000 ids take 0.4 of the 1 MB of a znode'),
  /** Posts a second of one dispatcher, at half a core. */
  dispatcherPosts: figure(7_123, 'bench/results/post.json: on 28 November 2026, one dispatcher on one SQLite file, 0.52 of a core'),
  /** Posts a second of three replicas in Cassandra, by one node of two cores. */
  cassandraPosts: figure(3_600, 'dispatcher/store/cassandra/README.md: one node on two cores that it shared with the posts\' own process, ten posts in a commit'),
  /** Processor of one comment for one edge that holds its video, µs. */
  batchMicroseconds: figure(450, 'bench/results/many.json: 8.79 s of the dispatcher for 15,000 comments, each to one edge, without storing them; busier pipes carry several comments a batch, and cost less'),
  /** Disk that a comment takes in the store, bytes. */
  storedBytes: figure(300, 'docs/operators.md: live_store_bytes'),
  /** Bytes of a comment to a viewer at 100 comments/s, plain and compressed. */
  plainBytes: figure(141, 'bench/results/public.json: bytesPerDelivery'),
  gzipBytes: figure(41, 'bench/results/public.json: bytesPerDelivery with gzip, from the edge; 131 at 10 comments/s (compare-10.json)'),
  /** What an edge's announcements cost each gateway and dispatcher, bytes for each video that it holds, and most announcements of
   * all edges a second. */
  heldBytes: figure(8.6, 'bench/results/registry.json: listBytes of 1,000 videos with ids of 11 characters'),
  announcements: figure(250, 'edge/holdings.ts: ALL_PER_SECOND'),
  /** The rest is for the simulation, which tells apart what a process does. What it costs to wake up a process that sleeps, µs. */
  wakeMicroseconds: figure(215, 'bench/results/idle-cluster.json: 0.0077 of a core at 36 wake-ups a second'),
  /** One write to a viewer, of some ten comments, by a gateway that has much to write. */
  busyWriteMicroseconds: figure(5.4, 'bench/results/public.json: the gateway\'s 11.04 s, and 12.84 s in gateway.json, each without its idle time and its posts, solved for 1,500,000 writes after 1,500 flushes and 2,100,000 after 750'),
  /** One message read from a connection of its own at a gateway. */
  readMicroseconds: figure(17.3, 'bench/results/relay.json: 13.07 s of the gateway for 484,600 events, each read from one connection and written to another, without its write (writeMicroseconds)'),
  /** One batch at an edge, its way into the room included. */
  edgeBatchMicroseconds: figure(409, 'bench/results/public.json: 1.06 s of the edge behind a gateway for 1,500 comments, each a batch, without its idle time, waking up and one write'),
  /** One commit of one post by a dispatcher, and each further post in it. */
  commitMicroseconds: figure(953, 'bench/results/public.json: 3.19 s of the dispatcher for 1,500 comments, without its idle time, waking up three times and one batch'),
  postMicroseconds: figure(68, 'bench/results/post.json: on 28 November 2026, 0.58 of a core of the dispatcher at 8,490 posts a second'),
  /** One post at its gateway, where posts are few. */
  gatewayPostMicroseconds: figure(1_533, 'bench/results/public.json: 2.41 s of the gateway for 1,500 posts while viewers are at the edge, without its idle time'),
  /** One viewer that is placed on an edge, at its gateway. */
  joinMicroseconds: figure(228, 'bench/results/join-gateway.json: on 28 November 2026, the gateway, its connection and the answer to its request included'),
  /** One read by the benchmarks' own viewers, who share the machine. */
  clientReadMicroseconds: figure(6.3, 'bench/results/public.json: clientCpu 0.63 for 1,500,000 reads in 15 s'),
} satisfies Readonly<Record<string, Measured>>

/** Share of a core, or of a limit, that is planned for: the rest is for the loss of a neighbour, and for what nobody planned. */
export const USED_SHARE = 0.7

/** A price that is assumed, in dollars, with what it is taken from and when. Options replace it. */
export interface Price {
  readonly dollars: number
  readonly source: string
}

export const PRICES = {
  /** An hour of one core. */
  coreHour: { dollars: 0.04, source: 'assumed, November 2026: about what the large clouds ask for an hour of a general-purpose virtual core, without a reservation' },
  /** A GB (10^9 bytes) to the public. */
  gbEgress: { dollars: 0.05, source: 'assumed, November 2026: AWS in US East, internet egress beyond 150 TB a month, as quoted by usage.ai on 2 June 2026' },
  /** A GB between two zones of a region. */
  gbZone: { dollars: 0.02, source: 'assumed, November 2026: AWS, 0.01 for each direction, as quoted by usage.ai on 2 June 2026' },
} satisfies Readonly<Record<string, Price>>
