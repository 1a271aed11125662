import { Misuse, Problem } from '../output.js'
import { counted, number } from '../table.js'
import type { CopiedStore } from './copied-store.js'
import type { CopyState } from './copy-rows.js'
import { openStore } from './open.js'
import { Progress } from './progress.js'

/** The output of `store copy --json`. */
export interface Copied {
  /** The stores' ids. */
  readonly from: string
  readonly to: string
  readonly videos: number
  readonly copied: number
  /** Comments that a former copy had brought. */
  readonly wereThere: number
  /** Comments that wait for a moderator. */
  readonly held: number
}

export interface CopyStoreOptions {
  readonly from: string | undefined
  readonly to: string | undefined
  readonly env: NodeJS.ProcessEnv
  readonly signal: AbortSignal
  /** Writes to the terminal, or wherever notes go. */
  readonly write: (text: string) => void
  readonly isTerminal: boolean
}

/** Copies a store into another, and goes on with a copy that was stopped.
 * @throws Misuse; ConfigError; Problem where a store cannot be used, the target has other comments, or it was stopped */
export async function copyStore({ from: fromUrl, to: toUrl, env, signal, write, isTerminal }: CopyStoreOptions): Promise<Copied> {
  if (fromUrl === undefined || toUrl === undefined) throw new Misuse('which stores? Name both as STORE_URL does: --from sqlite:data/comments.db --to cassandra://HOST/KEYSPACE?dc=DATA_CENTRE')
  if (fromUrl === toUrl) throw new Misuse('--from and --to name one store')
  const [{ copyRows }, { OtherRowsError, UnknownColumnError, UnlikeError }] = await Promise.all([import('./copy-rows.js'), import('./copied-store.js')])
  const progress = new Progress({ write, isTerminal })
  const from = await openStore('from', fromUrl, env)
  let to: CopiedStore | undefined
  let state: CopyState | undefined
  try {
    to = await openStore('to', toUrl, env)
    if (from.id === to.id) throw new Misuse(`--from and --to are both store ${from.id}, or a copy of its file`)
    state = await copyRows({ from, to, signal, onProgress: reached => progress.show((state = reached)) })
    progress.end()
  } catch (error) {
    progress.end()
    const so = state === undefined || state.copied + state.held === 0 ? 'nothing has been copied' : `${counted(state.copied, 'comment')} had been copied`
    if (error instanceof OtherRowsError) throw new Problem('OTHER_COMMENTS', `${error.message} in ${to?.name} than in ${from.name}: what is there must be how it begins here (${so})`, { cause: error })
    if (error instanceof UnknownColumnError) throw new Problem('STORE_UNUSABLE', error.message, { cause: error })
    if (error instanceof UnlikeError) throw new Problem('NOT_COPIED', `${to?.name} has not what was written: ${error.message}`, { cause: error })
    if (error instanceof Problem || error instanceof Misuse || !isTrouble(error)) throw error
    throw new Problem('STORE_UNUSABLE', `${(error as Error).message} (${so}); the same command goes on from there`, { cause: error })
  } finally {
    await Promise.all([from.close(), to?.close()])
  }
  const { videos, videosDone, copied, wereThere, held } = state
  if (!state.isWhole) throw new Problem('STOPPED', `stopped with ${number(videosDone)} of ${counted(videos, 'video')} complete, ${counted(copied, 'comment')} copied; the same command goes on from there`)
  return { from: from.id, to: to.id, videos, copied, wereThere, held }
}

export function copiedText({ to, videos, copied, wereThere, held }: Copied): string {
  const before = wereThere === 0 ? '' : `; ${counted(wereThere, 'comment')} had been there`
  const waiting = held === 0 ? '' : `, with ${counted(held, 'held comment')}`
  return `${counted(copied, 'comment')} copied${before}. Store ${to} has the same ${counted(videos, 'video')}${waiting}, each checked by count and by hash.\n`
}

/** Of a store, and not of ours. */
function isTrouble(error: unknown): boolean {
  const { name, code } = error as { name?: unknown; code?: unknown }
  return name === 'CallError' || (typeof code === 'string' && /^(SQLITE_|E[A-Z]+$)/.test(code))
}
