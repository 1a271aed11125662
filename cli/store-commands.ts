import { resolve } from 'node:path'
import { Argument } from 'commander'
import { STORE_ACTIONS, type StoreAction } from '../protocol/store.js'
import { nodeId, replication, storeOption, tokenOption } from './arguments.js'
import { backUp, backupText } from './backup.js'
import type { CommandLine } from './command-line.js'
import { withLiveRegistry, withZookeeper } from './connection.js'
import { copiedText, copyStore } from './copy/copy-store.js'
import { initializedText, initStore } from './init-store.js'
import { withMeantCluster } from './meant-cluster.js'
import { Misuse } from './output.js'
import { restore, restoredText } from './restore.js'
import { adoptStore, stores, storesText } from './store.js'

interface StoreFlags {
  readonly token?: string
  readonly replication?: ReadonlyMap<string, number>
  readonly from?: string
  readonly to?: string
}

/** What store does beside what it has a dispatcher do. */
const INIT = 'init'
const COPY = 'copy'

/** The commands about where comments are kept. */
export function addStoreCommands(line: CommandLine): void {
  line.command('store', 'show which store is expected and what each dispatcher has; or declare what is at a dispatcher\'s path to be the store; or create the tables in Cassandra; or copy a store', '', 'accept dispatcher-1', 'restore dispatcher-1')
    .addArgument(new Argument('[ACTION]', 'accept: the file as it is; restore: a backup, which may lack what was stored; create: a new file, where there is none; init: the keyspace and tables that a cassandra: STORE_URL names; copy: all of a store into another').choices([...STORE_ACTIONS, INIT, COPY]))
    .argument('[DISPATCHER]', 'the id of the dispatcher', nodeId)
    .option(...tokenOption)
    .option('--replication <DATA_CENTRE=REPLICAS>', 'for init: number of replicas in each data centre, comma-separated', replication)
    .option('--from <URL>', 'for copy: the store to read, written as in STORE_URL; dispatchers may be using it')
    .option('--to <URL>', 'for copy: the store to write: a file, created if it is missing, or a Cassandra after init')
    .action(async (action: StoreAction | typeof INIT | typeof COPY | undefined, id: string | undefined, { token, replication, from, to }: StoreFlags) => {
      if (action === COPY) return line.print(await line.out.untilStopped(signal => copyStore({ from, to, env: line.env, signal, write: text => line.out.writeNote(text), isTerminal: line.out.notesToTerminal })), copiedText)
      if (action === INIT) return line.print(await initStore(line.env, replication), initializedText)
      if (action === undefined) return line.print(await line.calling(token, client => withLiveRegistry(line.reading(), (zk, { view }) => stores(zk, view, client))), found => storesText(found, line.out.colour))
      if (id === undefined) throw new Misuse(`which dispatcher's file is meant? Name it: ${line.self} store ${action} DISPATCHER`)
      await line.print(await line.calling(token, client => withMeantCluster(line.reading(), zk => adoptStore(zk, client, id, action))), ({ path }) => `${path}, the file of ${id}, is the store now.\n`)
    })
  line.command('backup', 'copy the store into a new file, while dispatchers use it, and check the copy', './backup.db', './backup-2.db --json')
    .argument('<FILE>', 'the new file')
    .option(...storeOption)
    .action(async (file: string, { store }: { store?: string }) => line.print(await backUp(await line.storeOf(store), resolve(line.folder, file)), backupText))
  line.command('restore', 'replace the store with a backup, on the dispatchers\' machine; dispatchers may be running', './backup.db')
    .argument('<FILE>', 'a file made by backup, or another copy of the store')
    .option(...storeOption)
    .action(async (file: string, { store }: { store?: string }) => {
      const meant = line.reading()
      const restored = await restore({
        backup: resolve(line.folder, file),
        store: await line.storeOf(store),
        before: task => withMeantCluster(meant, task),
        after: task => withZookeeper(meant.address, task),
      })
      await line.print(restored, restoredText)
    })
}
