import { spawnSync } from 'node:child_process'
import { pathToFileURL } from 'node:url'
import { z } from 'zod'
import { projectRoot } from '../runtime/root.js'

const LIMIT_MS = 60_000
/** Passes where there is nobody to ask. */
const IF_REACHABLE = '--if-reachable'

const report = z.object({ metadata: z.object({ vulnerabilities: z.object({ total: z.number() }) }), vulnerabilities: z.record(z.string(), z.object({ severity: z.string() })) })

/** What npm's advisories say of what runs in production. Where they cannot be asked nothing is known, which fails unless that was
 * allowed. @param json what `npm audit --json` printed @param unaskedIsFine there may be nobody to ask */
export function judgeAudit(json: string, unaskedIsFine = false): { readonly fails: boolean; readonly says: string } {
  const parsed = report.safeParse(objectOf(json))
  if (!parsed.success) return { fails: !unaskedIsFine, says: `advisories were not asked: the registry has none or cannot be reached, and nothing is known of the dependencies${unaskedIsFine ? ` (allowed by ${IF_REACHABLE})` : `; ${IF_REACHABLE} allows that`}` }
  const { metadata, vulnerabilities } = parsed.data
  if (metadata.vulnerabilities.total === 0) return { fails: false, says: 'no advisory on what runs in production' }
  return { fails: true, says: `advisories: ${Object.entries(vulnerabilities).map(([name, { severity }]) => `${name} (${severity})`).join(', ')}; npm audit --omit=dev tells more` }
}

function objectOf(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const flags = ['audit', '--omit=dev', '--json', '--fetch-retries=1', '--fetch-timeout=20000']
  const { fails, says } = judgeAudit(spawnSync('npm', flags, { cwd: projectRoot, encoding: 'utf8', timeout: LIMIT_MS }).stdout ?? '', process.argv.includes(IF_REACHABLE))
  process.stdout.write(`audit: ${says}\n`)
  process.exitCode = fails ? 1 : 0
}
