import type { Paint } from '../output.js'
import { counted } from '../table.js'
import type { Diagnosis } from './examination.js'
import type { Finding } from './finding.js'

const SUBJECTS_SHOWN = 5

/** A diagnosis for people: each finding with its advice, then a line that sums up. */
export function report({ healthy, cluster, zookeeper, asked, findings }: Diagnosis, paint: Paint): string {
  const problems = findings.filter(({ level }) => level === 'problem').length
  const notes = findings.length - problems
  const counts = `${counted(asked.edges, 'edge')}, ${counted(asked.dispatchers, 'dispatcher')} and ${counted(asked.gateways, 'gateway')}`
  const seen = zookeeper.readMs === null ? 'The rest cannot be examined.' : `${cluster ? `Cluster ${cluster.name} (${cluster.id}). ` : ''}ZooKeeper: session in ${zookeeper.sessionMs} ms, reads in ${zookeeper.readMs} ms. Asked ${counts}.`
  const verdict = healthy ? paint('green', 'Healthy.') : paint('red', `${counted(problems, 'problem')}.`)
  return `${findings.map(finding => paragraph(finding, paint)).join('')}${verdict} ${notes > 0 ? `${counted(notes, 'note')}. ` : ''}${seen}\n`
}

function paragraph({ level, subjects, what, advice }: Finding, paint: Paint): string {
  const shown = subjects.slice(0, SUBJECTS_SHOWN).join(', ')
  const who = subjects.length > SUBJECTS_SHOWN ? `${shown} and ${subjects.length - SUBJECTS_SHOWN} more` : shown
  const mark = level === 'problem' ? paint('red', 'problem') : paint('yellow', 'note   ')
  return `${mark}  ${paint('bold', who)}: ${what}\n         ${advice}\n\n`
}
