import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectRoot } from './root.js'

/** This software's version, as every node announces it. */
export const VERSION = (JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as { version: string }).version
