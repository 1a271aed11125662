import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectRoot } from './root.js'

/** The version in package.json, which every node announces. */
export const VERSION = (JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as { version: string }).version
