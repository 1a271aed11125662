import { resolve } from 'node:path'
import { z } from 'zod'
import { MAX_CONTENT } from '../protocol/comment.js'
import { zookeeperVariables } from '../registry/variables.js'
import { configure, parsedBy } from '../runtime/config.js'
import { count, nodeVariables, tokenConflicts } from '../runtime/variables.js'
import { readWords } from './words-file.js'

const SQLITE = 'sqlite:'
const LENGTH_RULE = `must be a whole number from 1 to ${MAX_CONTENT}`
const MAX_DUPLICATE_SECONDS = 86_400

export const dispatcherVariables = {
  ...nodeVariables('dispatcher', 9082),
  ...zookeeperVariables,
  STORE_URL: z
    .string()
    .regex(/^sqlite:(?!\/\/)[^?#\0]*[^/?#\0]$/, 'must be sqlite:PATH, the path of a file')
    .default('sqlite:./data/comments.db')
    .describe('comment store: sqlite:PATH, relative to the working directory'),
  CONTENT_MAX_LENGTH: z
    .string()
    .regex(/^[0-9]{1,4}$/, LENGTH_RULE)
    .transform(Number)
    .refine(length => length >= 1 && length <= MAX_CONTENT, LENGTH_RULE)
    .default(MAX_CONTENT)
    .describe('longest comment, in characters'),
  CONTENT_LINKS: z.enum(['allow', 'refuse'], 'must be allow or refuse').default('allow').describe('links and e-mail addresses in comments: allow or refuse'),
  CONTENT_WORDS_FILE: parsedBy(path => {
    readWords(path)
    return path
  })
    .optional()
    .describe('file of words that no comment may contain, one per line, reread when it changes'),
  CONTENT_DUPLICATE_SECONDS: count(0)
    .refine(seconds => seconds <= MAX_DUPLICATE_SECONDS, `must be at most ${MAX_DUPLICATE_SECONDS}`)
    .describe('time in which an author may not repeat a comment on the same video, s; 0: no limit'),
}

export type DispatcherConfig = ReturnType<typeof dispatcherConfig>

export function dispatcherConfig(argv: readonly string[], env: NodeJS.ProcessEnv) {
  return configure('dispatcher', dispatcherVariables, argv, env, (_, isSound) => tokenConflicts(env, isSound))
}

/** @param storeUrl a checked STORE_URL */
export function sqlitePath(storeUrl: string): string {
  return resolve(storeUrl.slice(SQLITE.length))
}
