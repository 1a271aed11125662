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

/** ZooKeeper credentials. The parts and the operators' commands both read them. */
export const zookeeperAuthVariables = {
  ZOOKEEPER_AUTH: parsedBy(parseCredentials).optional().describe('the parts\' ZooKeeper credentials, USER:PASSWORD; unset: anyone can change what they write there'),
  ZOOKEEPER_AUTH_FILE: parsedBy(readCredentials).optional().describe('file that holds the credentials instead'),
}

/** ZooKeeper's address and the credentials for it. */
export const zookeeperVariables = {
  ZOOKEEPER_CONNECT: zookeeperConnect.describe('HOST:PORT[,HOST:PORT...][/CHROOT]'),
  ...zookeeperAuthVariables,
}

/** The configured credentials, from either variable; undefined without. */
export function zookeeperAuth({ ZOOKEEPER_AUTH, ZOOKEEPER_AUTH_FILE }: { readonly ZOOKEEPER_AUTH?: Credentials | undefined; readonly ZOOKEEPER_AUTH_FILE?: Credentials | undefined }): Credentials | undefined {
  return ZOOKEEPER_AUTH ?? ZOOKEEPER_AUTH_FILE
}
