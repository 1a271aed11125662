/** Where a Cassandra store is, as STORE_URL says it. */
export interface CassandraAddress {
  /** `host:port` each; nodes that are asked for the others. */
  readonly contactPoints: readonly string[]
  /** The hosts' names as they were given: a certificate may be for any of them. */
  readonly hosts: readonly string[]
  readonly keyspace: string
  /** The data centre whose nodes are used, and whose majority decides the order of comments. */
  readonly dataCentre: string
  readonly user: string | undefined
  readonly tls: boolean
}

const SCHEME = 'cassandra:'
const RULE = 'must be cassandra://[USER@]HOST[:PORT][,HOST[:PORT]...]/KEYSPACE?dc=DATA_CENTRE[&tls=on]'
const DEFAULT_PORT = 9042
const FORM = /^cassandra:\/\/(?:([^@/?#\s]+)@)?([^@/?#\s]+)\/([^/?#\s]+)\?([^#\s]+)$/
const HOST = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?$/
/** What needs no quotes in CQL, in lower case. */
const KEYSPACE = /^[a-z][a-z0-9_]{0,47}$/
const DATA_CENTRE = /^[A-Za-z0-9._-]{1,64}$/

/** Whether a STORE_URL, or what a dispatcher says of its store, is of a Cassandra. */
export function isCassandra(storeUrl: string): boolean {
  return storeUrl.startsWith(SCHEME)
}

/** Reads a STORE_URL. @throws Error with the rule that it breaks, and nothing of a password */
export function parseCassandraUrl(url: string): CassandraAddress {
  const [, user, hosts = '', keyspace = '', query = ''] = FORM.exec(url) ?? []
  if (hosts === '') throw new Error(RULE)
  if (user?.includes(':')) throw new Error('must not hold a password, which others could see: set STORE_PASSWORD_FILE or STORE_PASSWORD')
  if (!KEYSPACE.test(keyspace)) throw new Error('must name a keyspace of a-z 0-9 _ that begins with a letter, up to 48 characters')
  const parsed = hosts.split(',').map(parseHost)
  const options = new URLSearchParams(query)
  for (const name of options.keys()) {
    if (name !== 'dc' && name !== 'tls') throw new Error(`${RULE}; ${name} is no option`)
    if (options.getAll(name).length > 1) throw new Error(`must name ${name} once`)
  }
  const dataCentre = options.get('dc') ?? ''
  if (!DATA_CENTRE.test(dataCentre)) throw new Error('must name the data centre: ?dc=DATA_CENTRE')
  const tls = options.get('tls') ?? 'off'
  if (tls !== 'on' && tls !== 'off') throw new Error('tls must be on or off')
  return {
    contactPoints: parsed.map(({ host, port }) => `${host}:${port}`),
    hosts: parsed.map(({ host }) => host),
    keyspace,
    dataCentre,
    user: user === undefined ? undefined : decodedUser(user),
    tls: tls === 'on',
  }
}

function decodedUser(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new Error('must name the user in percent-encoding: % itself is %25')
  }
}

function parseHost(text: string): { host: string; port: number } {
  const [, host, port = String(DEFAULT_PORT)] = HOST.exec(text) ?? []
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535) throw new Error(RULE)
  return { host, port: Number(port) }
}
