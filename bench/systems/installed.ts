import { spawnSync } from 'node:child_process'

/** A system that is not here. Its message says how to get it. */
export class NotInstalledError extends Error {
  override readonly name = 'NotInstalledError'
}

/** @throws NotInstalledError with `getIt` when the program cannot be run */
export function versionOf(command: string, args: readonly string[], pattern: RegExp, getIt: string): string {
  const { stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', timeout: 10_000 })
  if (error) throw new NotInstalledError(getIt)
  return pattern.exec(stdout + stderr)?.[1] ?? 'of unknown version'
}
