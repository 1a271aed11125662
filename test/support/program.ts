import { fileURLToPath } from 'node:url'

/** The compiled program: compiled tests lie beside it. */
export const ENTRY = fileURLToPath(new URL('../../live-comments.js', import.meta.url))

/** What `env` is told to run Node as anyone would: without the test runner's hooks, which every process under it would
 * load, and which cost more than a part's own start. The process id is Node's.
 * @param options NODE_OPTIONS otherwise */
export function plainNode(options = process.env['NODE_OPTIONS'] ?? ''): string[] {
  return [`NODE_OPTIONS=${options.split(' ').filter(option => !option.includes('/@tapjs/')).join(' ')}`, process.execPath]
}

export const NODE = plainNode()

/** The same for our program; the name of a part comes next. */
export const PROGRAM = [...NODE, ENTRY]

/** What a program that ran to its end left. */
export interface Outcome {
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}
