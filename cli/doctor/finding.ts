/** Something wrong or notable, and what to do about it. */
export interface Finding {
  /** A `note` is harmless here; only a problem fails the check. */
  readonly level: 'problem' | 'note'
  /** Stable, for scripts. */
  readonly code: Code
  /** The nodes, or paths in the registry, that it is about. */
  readonly subjects: readonly string[]
  /** A sentence without its subject. */
  readonly what: string
  readonly advice: string
}

export type Code =
  | 'zookeeper_away'
  | 'zookeeper_not_serving'
  | 'zookeeper_is_another'
  | 'zookeeper_split'
  | 'zookeeper_leaderless'
  | 'zookeeper_untold'
  | 'zookeeper_small'
  | 'zookeeper_fails'
  | 'zookeeper_slow'
  | 'zookeeper_refuses'
  | 'zookeeper_exposed'
  | 'cluster_is_another'
  | 'znode_open'
  | 'znode_refused'
  | 'nobody_announced'
  | 'nodes_missing'
  | 'nodes_unexpected'
  | 'versions_differ'
  | 'znode_rubbish'
  | 'registry_crowded'
  | 'znode_left_over'
  | 'znode_big'
  | 'wish_left_over'
  | 'node_down'
  | 'node_unannounced'
  | 'node_refuses'
  | 'node_unreachable'
  | 'node_silent'
  | 'node_fails'
  | 'node_not_ready'
  | 'node_is_another'
  | 'token_wrong'
  | 'node_unproven'
  | 'holdings_differ'
  | 'view_stale'
  | 'clock_off'
  | 'descriptors_low'
  | 'lowat_high'
  | 'migrate_off'
  | 'certificate_expires'
  | 'certificate_unusable'
  | 'hook_lags'
  | 'store_refused'
  | 'store_unavailable'
  | 'store_damaged'
  | 'stores_differ'
  | 'peer_unreachable'

export function problem(code: Code, subject: string, what: string, advice: string): Finding {
  return { level: 'problem', code, subjects: [subject], what, advice }
}

export function note(code: Code, subject: string, what: string, advice: string): Finding {
  return { ...problem(code, subject, what, advice), level: 'note' }
}

/** Merges findings that differ only in their subjects; problems come first. */
export function merged(findings: readonly Finding[]): Finding[] {
  const kinds = new Map<string, Finding>()
  for (const finding of findings) {
    const { level, code, subjects, what, advice } = finding
    const kind = JSON.stringify([level, code, what, advice])
    const known = kinds.get(kind)
    kinds.set(kind, known ? { ...known, subjects: [...known.subjects, ...subjects] } : finding)
  }
  return [...kinds.values()].sort((a, b) => rank(a) - rank(b))
}

/** The findings of `again` whose code and subjects are in `findings` too. A finding about a node that was just coming or
 * going is gone at the second look. */
export function lasting(findings: readonly Finding[], again: readonly Finding[]): Finding[] {
  const key = ({ code, subjects }: Finding) => `${code} ${subjects.join()}`
  const before = new Set(findings.map(key))
  return again.filter(finding => before.has(key(finding)))
}

const rank = ({ level }: Finding): number => (level === 'problem' ? 0 : 1)
