import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { projectRoot } from '../../runtime/root.js'

/** Why nothing can be recorded here, or false. */
export const cannotRecord: string | false =
  process.platform !== 'linux' ? 'only on Linux can a library be loaded between a process and its files' : spawnSync('cc', ['--version']).error ? 'there is no C compiler here, and ./setup.sh could not install one' : false

/** Compiles recorder.c into `folder`. @returns the environment of a process whose calls on the files under `watched` it
 * writes down in `journal` */
export function recorded(folder: string, watched: string, journal: string): NodeJS.ProcessEnv {
  const library = join(folder, 'recorder.so')
  const { status, stderr } = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-U_FORTIFY_SOURCE', '-Wall', '-Wextra', '-o', library, join(projectRoot, 'test/power/recorder.c'), '-ldl'], { encoding: 'utf8' })
  if (status !== 0 || stderr !== '') throw new Error(`recorder.c was not compiled: ${stderr}`)
  return { LD_PRELOAD: library, POWER_FOLDER: watched, POWER_JOURNAL: journal }
}
