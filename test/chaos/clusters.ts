import { ClusterLine } from './cluster-line.js'
import { Target, type OwnClusterOptions } from './target.js'

/** By which they know each other. */
const NAMES = ['west', 'east'] as const

export interface OwnClustersOptions extends OwnClusterOptions {
  /** 1 or 2. */
  readonly clusters: number
}

/** The clusters under test: one, or two with a line between them. */
export class Clusters {
  readonly all: readonly Target[]
  /** Between them, where there are two. */
  readonly line: ClusterLine | undefined

  private constructor(all: readonly Target[], line: ClusterLine | undefined) {
    this.all = all
    this.line = line
  }

  /** One that runs already. @throws Error as {@link Target.at} */
  static at(data: string): Clusters {
    return new Clusters([Target.at(data)], undefined)
  }

  static async start({ clusters, ...options }: OwnClustersOptions): Promise<Clusters> {
    if (clusters === 1) return new Clusters([await Target.start(options)], undefined)
    const line = await ClusterLine.open(NAMES, options.gateways)
    const begun = await Promise.allSettled(NAMES.map(name => Target.start(options, { name, line })))
    const started = begun.flatMap(each => (each.status === 'fulfilled' ? [each.value] : []))
    const failed = begun.find(each => each.status === 'rejected')
    const all = new Clusters(started, line)
    if (!failed) return all
    await all.close(false)
    throw failed.reason
  }

  /** The one that stores the video's comments. */
  home(videoId: string): Target {
    const name = this.line?.homeOf(videoId)
    return this.all.find(target => target.name === name) ?? this.all[0]!
  }

  /** Waits until every part runs and is ready. */
  async whole(): Promise<void> {
    await Promise.all(this.all.map(target => target.whole()))
  }

  /** Since when that process was ending or gone; undefined: it runs. */
  goneAt(pid: number | null): number | undefined {
    return this.all.map(target => target.goneAt(pid)).find(at => at !== undefined)
  }

  /** Ends those that are ours. @param keep leave the folders of their data and logs */
  async close(keep: boolean): Promise<void> {
    await Promise.all(this.all.map(target => target.close(keep)))
    await this.line?.close()
  }
}
