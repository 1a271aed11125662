import { z } from 'zod'
import { parsedBy } from '../runtime/config.js'
import { parseConnectString } from './zookeeper/connect-string.js'
import { parseCredentials, readCredentials, type Credentials } from './zookeeper/credentials.js'

/** HOST:PORT[,HOST:PORT…][/CHROOT] */
export const zookeeperConnect = z.string().refine(isConnectString, 'must be HOST:PORT[,HOST:PORT...][/CHROOT]').default('127.0.0.1:2181/live-comments')

function isConnectString(text: string): boolean {
  try {
    parseConnectString(text)
    return true
  } catch {
    return false
  }
}

/** Who a process is to ZooKeeper. The parts and the operators' commands both read it. */
export const zookeeperAuthVariables = {
  ZOOKEEPER_AUTH: parsedBy(parseCredentials).optional().describe('who the parts are to ZooKeeper, USER:PASSWORD; none: what they write there is open to all'),
  ZOOKEEPER_AUTH_FILE: parsedBy(readCredentials).optional().describe('a file that holds it instead'),
}

/** Where ZooKeeper is, and who a part is to it. */
export const zookeeperVariables = {
  ZOOKEEPER_CONNECT: zookeeperConnect.describe('HOST:PORT[,HOST:PORT...][/CHROOT]'),
  ...zookeeperAuthVariables,
}

/** Undefined where none are configured. */
export function zookeeperAuth({ ZOOKEEPER_AUTH, ZOOKEEPER_AUTH_FILE }: { readonly ZOOKEEPER_AUTH?: Credentials | undefined; readonly ZOOKEEPER_AUTH_FILE?: Credentials | undefined }): Credentials | undefined {
  return ZOOKEEPER_AUTH ?? ZOOKEEPER_AUTH_FILE
}
