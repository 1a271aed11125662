import { MAX_ZNODE_BYTES } from '../../protocol/nodes.js'
import { Zk } from '../../registry/zookeeper/client.js'
import type { Credentials } from '../../registry/zookeeper/credentials.js'
import { modeIn, say, type Said } from '../../registry/zookeeper/four-letter-word.js'
import { parseConnectString, parseServers, printServer } from '../../registry/zookeeper/connect-string.js'
import { harmless } from '../output.js'
import { number } from '../table.js'
import type { ZookeeperAddress } from '../zookeeper-address.js'
import { note, problem, type Finding } from './finding.js'

/** The answer where the word is not in its `4lw.commands.whitelist`. */
const NOT_ALLOWED = /is not executed because it is not in the whitelist/
const LONG_CALL_MS = 2_000
const SHOWN_CHARACTERS = 60

/** What a server of ZooKeeper's says of itself. */
export interface AskedServer {
  /** `host:port` */
  readonly server: string
  /** Its answer to `srvr`. */
  readonly said: Said
  /** It hangs up at a call as long as ours may be. */
  readonly hangsUp?: boolean
}

/** Asks each server of the list by itself: a client sees only the one that it is connected to. */
export function askServers({ connect, auth }: ZookeeperAddress): Promise<AskedServer[]> {
  const { servers, chroot } = parseConnectString(connect)
  return Promise.all(
    parseServers(servers).map(async address => {
      const server = printServer(address)
      const said = await say(address.host, address.port, 'srvr')
      const serves = 'answer' in said && modeIn(said.answer) !== undefined
      return { server, said, hangsUp: serves && (await hangsUp(`${server}${chroot}`, auth)) }
    }),
  )
}

/** Whether a server hangs up at a call as long as an edge's list of videos may be. It is a read of a znode that does not
 * exist. False also where the server cannot be asked, which is a finding of its own. */
async function hangsUp(connect: string, auth: Credentials | undefined): Promise<boolean> {
  const zk = new Zk(connect, { callTimeoutMs: LONG_CALL_MS, auth })
  let answers = false
  try {
    await zk.ready(AbortSignal.timeout(LONG_CALL_MS))
    await zk.exists('/')
    answers = true
    await zk.exists(`/${'x'.repeat(MAX_ZNODE_BYTES)}`)
    return false
  } catch {
    return answers && zk.session.trouble?.code === 'HUNG_UP'
  } finally {
    await zk.close()
  }
}

/** Whether it may grant us a session; one that does not say may. */
export function mayServe({ said }: AskedServer): boolean {
  if ('failure' in said) return false
  const mode = modeIn(said.answer)
  return mode === undefined ? NOT_ALLOWED.test(said.answer) : mode !== 'read-only'
}

/** Judges each server, and whether together they are one ensemble. */
export function judgeServers(asked: readonly AskedServer[], { connect, source }: ZookeeperAddress): Finding[] {
  const modes = asked.flatMap(({ server, said }) => ('answer' in said ? { server, mode: modeIn(said.answer) } : []))
  const that = (wanted: string) => modes.filter(({ mode }) => mode === wanted)
  const [leaders, followers, alone] = [that('leader'), that('follower'), that('standalone')]
  const findings = asked.flatMap(({ server, said }) => [...judgeServer(server, said, source)])
  for (const { server, hangsUp } of asked) if (hangsUp) findings.push(problem('zookeeper_small', server, `hangs up at a call of ${number(MAX_ZNODE_BYTES)} bytes`, 'Its jute.maxbuffer is below the default of 1 MB: remove that setting. Until then an edge of many videos cannot announce them, and loses its connection each time it tries.'))
  const list = 'Name all servers of one ensemble in ZOOKEEPER_CONNECT, and none of another.'
  if (asked.length > 1) for (const { server } of alone) findings.push(problem('zookeeper_split', server, `stands alone, although ${asked.length} servers are listed: it has a registry of its own`, list))
  if (leaders.length > 1) for (const { server } of leaders) findings.push(problem('zookeeper_split', server, `leads, and so do ${leaders.length - 1} of the others: they are of several ensembles`, list))
  if (followers.length > 0 && leaders.length === 0 && modes.every(({ mode }) => mode !== undefined)) {
    findings.push(note('zookeeper_leaderless', parseConnectString(connect).servers, 'no server that answers leads', 'A leader that froze or died is replaced within seconds. If this lasts, the leader is not in the list: name all servers of the ensemble in ZOOKEEPER_CONNECT.'))
  }
  return findings
}

function* judgeServer(server: string, said: Said, source: string): Generator<Finding> {
  if ('failure' in said) {
    const { what, advice } = FAILURES[said.failure] ?? { what: 'cannot be asked', advice: FAILURES['HUNG_UP']!.advice }
    yield problem('zookeeper_away', server, `${what} (${said.failure}, ${source})`, `${advice} ${WITHOUT_IT}`)
    return
  }
  const { answer } = said
  const mode = modeIn(answer)
  if (mode === 'read-only') yield problem('zookeeper_not_serving', server, 'takes no writes (read-only): it has lost the other servers of its ensemble', NO_QUORUM)
  else if (mode !== undefined) return
  else if (answer.includes('not currently serving requests')) yield problem('zookeeper_not_serving', server, 'runs and does not serve: its ensemble has no majority, or it is starting', NO_QUORUM)
  else if (NOT_ALLOWED.test(answer)) yield note('zookeeper_untold', server, 'does not say whether it serves', 'Add srvr to 4lw.commands.whitelist in its zoo.cfg, and it is asked by itself.')
  else yield problem('zookeeper_is_another', server, `is no ZooKeeper: it answers ${JSON.stringify(harmless(answer.trim().split(/\r?\n/)[0]!.slice(0, SHOWN_CHARACTERS)))} (${source})`, 'Something else listens there: name ZooKeeper\'s client port with --zookeeper HOST:PORT/CHROOT or ZOOKEEPER_CONNECT.')
}

const WITHOUT_IT = 'An ensemble goes on while most of its servers serve. Without ZooKeeper the cluster goes on with its last view, and nodes that come or go are not noticed.'
const NO_QUORUM = 'Start those of its servers that are away; a frozen one (kill -CONT resumes it) does not count. Then check that they reach each other at the addresses of server.N in zoo.cfg. The cluster goes on with its last view.'

const FROZEN = 'It is frozen, stopped (kill -CONT resumes it) or overloaded.'
const RESTART = 'Start it (a local cluster does so by itself), or name another one with --zookeeper HOST:PORT/CHROOT.'
const NETWORK = 'Is the machine up? Check the network, its firewall and the address.'
const FAILURES: Readonly<Record<string, { what: string; advice: string }>> = {
  ECONNREFUSED: { what: 'nothing listens where ZooKeeper should', advice: RESTART },
  NO_CONNECTION: { what: 'no connection within 1 s', advice: NETWORK },
  ETIMEDOUT: { what: 'no connection', advice: NETWORK },
  EHOSTUNREACH: { what: 'its machine cannot be reached', advice: NETWORK },
  ENETUNREACH: { what: 'its network cannot be reached', advice: NETWORK },
  ENOTFOUND: { what: 'its host name is unknown', advice: 'Check the name in ZOOKEEPER_CONNECT, and the DNS.' },
  EAI_AGAIN: { what: 'its host name cannot be looked up', advice: 'Check the DNS of this machine.' },
  SILENT: { what: 'accepts connections but does not answer', advice: FROZEN },
  HUNG_UP: { what: 'hangs up without a word', advice: 'Its log says why: too many connections (maxClientCnxns), or a port for TLS. Or something else listens there.' },
}
