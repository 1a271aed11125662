import { resolve } from 'node:path'
import { z } from 'zod'
import { configure, nodeVariables } from '../registry/node/config.js'

const SQLITE = 'sqlite:'

export const dispatcherVariables = {
  ...nodeVariables('dispatcher', 9082),
  STORE_URL: z
    .string()
    .regex(/^sqlite:(?!\/\/)[^?#\0]*[^/?#\0]$/, 'must be sqlite:PATH, the path of a file')
    .default('sqlite:./data/comments.db')
    .describe('where comments are kept: sqlite:PATH, relative to the working folder'),
}

export type DispatcherConfig = ReturnType<typeof dispatcherConfig>

export function dispatcherConfig(argv: readonly string[], env: NodeJS.ProcessEnv) {
  return configure('dispatcher', dispatcherVariables, argv, env)
}

/** @param storeUrl a checked STORE_URL */
export function sqlitePath(storeUrl: string): string {
  return resolve(storeUrl.slice(SQLITE.length))
}
