import type { PostTarget, StreamTarget } from '../load/target.js'

/** A server process of a system that runs. */
export interface ServerProcess {
  readonly name: string
  readonly pid: number
  /** It writes to viewers: what a delivery costs is counted here. */
  readonly delivers: boolean
}

export interface EdgeState {
  /** For how long it lets comments gather now. */
  readonly flushIntervalMs: number
  /** 99th percentile of its event loop's delay since this was last asked. */
  readonly loopDelayMs: number
}

/** A system that runs and can be measured: it holds streams and takes posts. */
export interface RunningSystem extends AsyncDisposable {
  readonly name: string
  /** Its version, and what was set that is not its default. */
  readonly about: string
  readonly streams: readonly StreamTarget[]
  readonly posts: readonly PostTarget[]
  /** It stamps a comment, `createdAt`, when it takes it. */
  readonly stampsAccepted: boolean
  /** Ours: a viewer that lacks one comment is a failed run, however busy the system was. */
  readonly promisesDelivery?: boolean
  /** As of now: a process may have been started again. */
  processes(): readonly ServerProcess[]
  /** What its edge says of itself, where there is one. */
  edgeState?(): Promise<EdgeState>
}
